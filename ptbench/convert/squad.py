"""SQuAD's JSON: articles of paragraphs of questions become one row a question."""

from collections.abc import Iterator
from typing import Any

from ptbench.convert.superglue import naming
from ptbench.errors import DataError
from ptbench.files import Row


def questions(document: Any) -> Iterator[Row]:
    """One row a question; SQuAD 2.0's without an answer have empty lists.

    Raises DataError where an answer does not stand at its character.
    """
    with naming("the document"):
        articles = document["data"]
    for a, article in enumerate(articles):
        with naming(f"data[{a}]"):
            title, paragraphs = article.get("title", ""), article["paragraphs"]
        for p, paragraph in enumerate(paragraphs):
            place = f"data[{a}].paragraphs[{p}]"
            with naming(place):
                context, asked = paragraph["context"], paragraph["qas"]
            for q, question in enumerate(asked):
                with naming(f"{place}.qas[{q}]"):
                    row = _row(question, title, context)
                _check(row, f"{place}.qas[{q}]")
                yield row


def _row(question: Row, title: str, context: str) -> Row:
    answers = [] if question.get("is_impossible") else question["answers"]
    return {
        "id": question["id"],
        "title": title,
        "context": context,
        "question": question["question"],
        "answers": {
            "text": [answer["text"] for answer in answers],
            "answer_start": [answer["answer_start"] for answer in answers],
        },
    }


def _check(row: Row, place: str) -> None:
    answers = row["answers"]
    for text, start in zip(answers["text"], answers["answer_start"], strict=True):
        if row["context"][start : start + len(text)] != text:
            raise DataError(
                f"{place}: '{text[:40]}' does not stand at character {start} of the context; "
                "mend answer_start"
            )
