"""One file a method: where its prompt enters, what encodes it, what is trained."""
