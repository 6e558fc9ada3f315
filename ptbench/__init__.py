"""ptbench: prompt tuning methods and fine-tuning, compared on equal terms."""
