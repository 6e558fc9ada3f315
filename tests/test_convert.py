"""Official raw files, made up here, as the rows that tasks read."""

import json
import random
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from seqeval import scheme

from ptbench.convert import FORMATS, convert
from ptbench.convert.conll import iob2, unbracketed
from ptbench.errors import ConfigError, DataError
from ptbench.files import read_jsonl
from tests.runs import built

GOLD = """\
#begin document (bn/made/00/made_0000); part 000
bn/made/00/made_0000  0  0  Ann    NNP  (TOP(S(NP*)  -     -   -  -  (PERSON)   (ARG0*)  (0)
bn/made/00/made_0000  0  1  has    VBZ  (VP*         have  01  1  -  *          (V*)     -
bn/made/00/made_0000  0  2  two    CD   (NP*         -     -   -  -  (QUANTITY* (ARG1*   -
bn/made/00/made_0000  0  3  miles  NNS  *)           -     -   -  -  *)         *)       -
bn/made/00/made_0000  0  4  .      .    *))          -     -   -  -  *          *        -

bn/made/00/made_0000  0  0  Yes    UH   (TOP*)       -     -   -  -  *          -

#end document
"""
SQUAD = {
    "data": [
        {
            "title": "Hill",
            "paragraphs": [
                {
                    "context": "The hill is high.",
                    "qas": [
                        {
                            "id": "1",
                            "question": "What?",
                            "answers": [{"text": "hill", "answer_start": 4}],
                        },
                        {"id": "2", "question": "Who?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        }
    ]
}
MULTIRC = {
    "idx": 3,
    "passage": {
        "text": "Rain fell.",
        "questions": [
            {
                "question": "What fell?",
                "idx": 5,
                "answers": [
                    {"text": "Rain", "idx": 8, "label": 1},
                    {"text": "Snow", "idx": 9, "label": 0},
                ],
            }
        ],
    },
}
RECORD = {
    "idx": 0,
    "passage": {"text": "Ann met Bo. Ann left.", "entities": [{"start": 0, "end": 2}] * 2},
    "qas": [{"query": "@placeholder left", "idx": 1, "answers": [{"text": "Ann"}]}],
}
WSC = {
    "idx": 4,
    "text": "Bo saw Al . He ran .",
    "label": True,
    "target": {"span1_index": 2, "span1_text": "Al", "span2_index": 4, "span2_text": "He"},
}
WEBNLG = {
    "entries": [
        {
            "7": {
                "category": "City",
                "size": "1",
                "modifiedtripleset": [{"subject": "Ulm", "property": "in", "object": "Europe"}],
                "lexicalisations": [{"comment": "good", "xml_id": "Id1", "lex": "Ulm is there."}],
            }
        }
    ]
}
DART = [
    {
        "tripleset": [["Ulm", "IN", "Europe"]],
        "subtree_was_extended": False,
        "annotations": [{"source": "made", "text": "Ulm is there."}],
    }
]
FACT = {"sub_label": "Ulm", "obj_label": "Europe", "predicate_id": "P30"}
ADVERT = {"content": "类型#裤", "summary": "好看的裤子"}

FILES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "conll": (
        "-DOCSTART- -X- O\n\nAnn NNP I-PER\nBo NNP B-PER\nin IN O\nUlm NNP I-LOC\n",
        [{"tokens": ["Ann", "Bo", "in", "Ulm"], "ner_tags": ["B-PER", "B-PER", "O", "B-LOC"]}],
    ),
    "conll2012_ner": (
        GOLD,
        [
            {
                "tokens": ["Ann", "has", "two", "miles", "."],
                "ner_tags": ["B-PERSON", "O", "B-QUANTITY", "I-QUANTITY", "O"],
            },
            {"tokens": ["Yes"], "ner_tags": ["O"]},
        ],
    ),
    "conll2012_srl": (
        GOLD,
        [
            {
                "tokens": ["Ann", "has", "two", "miles", "."],
                "predicate_index": 1,
                "predicate": "have.01",
                "srl_tags": ["B-ARG0", "B-V", "B-ARG1", "I-ARG1", "O"],
            }
        ],
    ),
    "propbank": (
        "1 Birds sing now ||| B-A0 B-V B-AM-TMP\n",
        [
            {
                "tokens": ["Birds", "sing", "now"],
                "predicate_index": 1,
                "predicate": "sing",
                "srl_tags": ["B-A0", "B-V", "B-AM-TMP"],
            }
        ],
    ),
    "superglue": (
        "".join(
            f"{json.dumps(row)}\n"
            for row in (MULTIRC, RECORD, WSC, {"premise": "a", "hypothesis": "b", "idx": 0})
        ),
        [
            {
                "paragraph": "Rain fell.",
                "question": "What fell?",
                "answer": answer,
                "idx": {"paragraph": 3, "question": 5, "answer": idx},
                "label": label,
            }
            for answer, idx, label in (("Rain", 8, 1), ("Snow", 9, 0))
        ]
        + [
            {
                "passage": "Ann met Bo. Ann left.",
                "query": "@placeholder left",
                "entities": ["Ann"],
                "entity_spans": {"text": ["Ann", "Ann"], "start": [0, 0], "end": [3, 3]},
                "answers": ["Ann"],
                "idx": {"passage": 0, "query": 1},
            },
            {"idx": 4, "text": WSC["text"], "label": 1, **WSC["target"]},
            {"premise": "a", "hypothesis": "b", "idx": 0, "label": -1},
        ],
    ),
    "squad": (
        json.dumps(SQUAD),
        [
            {
                "id": "1",
                "title": "Hill",
                "context": "The hill is high.",
                "question": "What?",
                "answers": {"text": ["hill"], "answer_start": [4]},
            },
            {
                "id": "2",
                "title": "Hill",
                "context": "The hill is high.",
                "question": "Who?",
                "answers": {"text": [], "answer_start": []},
            },
        ],
    ),
    "trex": (json.dumps({**FACT, "evidences": [{"masked_sentence": "..."}]}), [FACT]),
    "e2e": (
        'mr,ref\n"name[Ulm], area[south]","Ulm, which\nis south."\n',
        [
            {
                "meaning_representation": "name[Ulm], area[south]",
                "human_reference": "Ulm, which\nis south.",
            }
        ],
    ),
    "webnlg": (
        json.dumps(WEBNLG),
        [
            {
                "category": "City",
                "size": 1,
                "eid": "7",
                "modified_triple_sets": {"mtriple_set": [["Ulm | in | Europe"]]},
                "lex": {"comment": ["good"], "lid": ["Id1"], "text": ["Ulm is there."]},
            }
        ],
    ),
    "dart": (
        json.dumps(DART),
        [
            {
                "tripleset": [["Ulm", "IN", "Europe"]],
                "subtree_was_extended": False,
                "annotations": {"source": ["made"], "text": ["Ulm is there."]},
            }
        ],
    ),
    "adgen": (json.dumps(ADVERT, ensure_ascii=False), [ADVERT]),
}


def converted(folder: Path, form: str, text: str, **options: Any) -> list[dict[str, Any]]:
    source = folder / "raw"
    source.write_text(text, encoding="utf-8", errors="surrogateescape")
    convert(form, source, folder / "out.jsonl", force=True, **options)
    return read_jsonl(folder / "out.jsonl")


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_rows_that_were_meant(tmp_path: Path, form: str) -> None:
    text, rows = FILES[form]
    assert converted(tmp_path, form, text) == rows


READ = {
    "conll2012_ner": ("ontonotes",),
    "conll2012_srl": ("conll12",),
    "propbank": ("conll05", "conll05_brown"),
    "e2e": ("e2e",),
    "webnlg": ("webnlg",),
    "dart": ("dart",),
    "adgen": ("adgen",),
}


@pytest.mark.parametrize("form", READ)
def test_the_tasks_read_what_is_written(tmp_path: Path, form: str) -> None:
    for task in READ[form]:
        kind = built(f"task={task}", "model=tiny").task.kind
        source = built(f"task={task}", "model=tiny").task.origin
        file = tmp_path / source.folder / f"{source.splits.get('test', 'test')}.jsonl"
        raw = tmp_path / "raw"
        raw.write_text(FILES[form][0], encoding="utf-8")
        count = convert(form, raw, file, force=True)
        rows = source.rows("test", tmp_path)
        assert len(rows) == count
        for row in rows:
            kind.check(row)


def drawn(draw: random.Random) -> list[tuple[str, int, int]]:
    """Spans of a sentence, some of them side by side."""
    spans, place = [], draw.randrange(3)
    for _ in range(draw.randrange(5)):
        end = place + draw.randint(1, 3)
        spans.append((draw.choice("XY"), place, end))
        place = end + draw.choice([0, 0, 1])
    return spans


def tagged(spans: list[tuple[str, int, int]], name: str) -> list[str]:
    """Spans in a scheme, by the scheme's definition."""
    tags = ["O"] * (max((end for *_, end in spans), default=1) + 1)
    for number, (kind, start, end) in enumerate(spans):
        touches = number > 0 and spans[number - 1][0::2] == (kind, start)
        for place in range(start, end):
            first, last = place == start, place == end - 1
            marks = {
                "IOB1": "B" if first and touches else "I",
                "IOB2": "B" if first else "I",
                "BILOU": "U" if first and last else "B" if first else "L" if last else "I",
                "IOBES": "S" if first and last else "B" if first else "E" if last else "I",
            }
            tags[place] = f"{marks[name]}-{kind}"
    return tags


@pytest.mark.parametrize("name", ["IOB1", "IOB2", "BILOU", "IOBES"])
def test_any_scheme_becomes_iob2_with_the_spans_that_seqeval_reads(name: str) -> None:
    draw = random.Random(name)
    for _ in range(200):
        tags = tagged(drawn(draw), name)
        made = iob2(tags, list(range(len(tags))))
        read = [
            [(e.tag, e.start, e.end) for e in scheme.Tokens(row, getattr(scheme, form)).entities]
            for row, form in ((tags, name), (made, "IOB2"))
        ]
        assert read[0] == read[1]
        continued = (b[2:] == a[2:] for b, a in pairwise(["O", *made]) if a.startswith("I-"))
        assert all(continued)


def test_brackets_of_one_word_and_of_several() -> None:
    cells = ["(A0*", "*", "*)", "*", "(V*)", "(A1)"]
    assert unbracketed(cells, list(range(6))) == ["B-A0", "I-A0", "I-A0", "O", "B-V", "B-A1"]


def test_columns_and_their_name_can_be_chosen(tmp_path: Path) -> None:
    text = "# sent_id = 1\n1\tAnn\tB-X\tn\n2\t#\tO\tn\n"
    options = {"words": 1, "column": 2, "name": "chunk_tags"}
    (row,) = converted(tmp_path, "conll", text, **options)
    assert row == {"tokens": ["Ann", "#"], "chunk_tags": ["B-X", "O"]}


BROKEN = {
    ("conll", "Ann I-PER\nBo\n"): "raw, line 2: 1 columns, where 2 are needed",
    ("conll", "Ann NNP\n"): "raw, line 1: 'NNP' is no tag such as B-PER or O; choose another",
    ("conll2012_ner", "a 0 0 Ann NNP\n"): "raw, line 1: 5 columns, where 12 or more are needed",
    ("conll2012_srl", GOLD.replace("*)       -\n", "*        -\n", 1)): "raw, line 6: the sentence "
    "ends inside 'ARG1'",
    ("conll2012_ner", GOLD.replace("(QUANTITY*", "(A(B*")): "raw, line 4: '(A(B*' does not open",
    ("propbank", "1 a b ||| O B-V\n0 a b ||| O\n"): "raw, line 2: not `index words ||| tags` with "
    "a tag for each word (index '0', 2 words, 1 tags)",
    ("propbank", "5 a b ||| O O\n"): "raw, line 1: the predicate is word 5, but the last is 1",
    ("superglue", '{"a": 1}\n{"a"\n'): "raw, line 2: not JSON",
    ("superglue", '{"idx": 1, "passage": {"text": "a", "questions": [{"idx": 1}]}}\n'): "raw, "
    "line 1: 'answers' is missing",
    (
        "squad",
        '{"data": [\n{"title": }]}',
    ): "raw is no JSON that can be read: Expecting value: line 2",
    ("squad", '{"data": [{"paragraphs": [{"context": "a"}]}]}'): "raw, data[0].paragraphs[0]: "
    "'qas' is missing",
    ("squad", json.dumps(SQUAD).replace('"answer_start": 4', '"answer_start": 5')): "raw, "
    "data[0].paragraphs[0].qas[0]: 'hill' does not stand at character 5",
    ("trex", '{"sub_label": "a", "obj_label": "b"}\n'): "raw, line 1: 'predicate_id' is missing",
    ("e2e", "name,text\n"): "raw, line 1: the header is 'name,text', not 'mr,ref'",
    ("e2e", "mr,ref\na,b\na,b,c\n"): "raw, line 3: 3 cells, not a representation and its text",
    ("webnlg", '{"entries": [{"1": {"category": "a"}}]}'): "raw, entries[0]: 'lexicalisations' is",
    ("dart", '{"a": 1}'): "raw, the document is no list of triple sets",
    ("dart", '[{"tripleset": []}]'): "raw, [0]: 'annotations' is missing",
    ("adgen", '{"content": "a"}\n'): "raw, line 1: 'summary' is missing",
    ("conll", "Ann O\nB\udcff O\n"): "raw, line 2: not UTF-8 (invalid start byte)",
    ("trex", ""): "raw; is it another format?",
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named_by_line_and_leaves_nothing(
    tmp_path: Path, case: tuple[str, str]
) -> None:
    with pytest.raises(DataError, match=re.escape(BROKEN[case])):
        converted(tmp_path, *case)
    assert [file.name for file in tmp_path.iterdir()] == ["raw"]


def test_a_file_that_is_there_is_replaced_only_when_asked(tmp_path: Path) -> None:
    source, target = tmp_path / "raw", tmp_path / "deep" / "out.jsonl"
    source.write_text(json.dumps(FACT), encoding="utf-8")
    assert convert("trex", source, target) == 1
    with pytest.raises(DataError, match=r"out\.jsonl is there; --force replaces it"):
        convert("trex", source, target)
    source.write_text("{broken", encoding="utf-8")
    with pytest.raises(DataError, match="not JSON"):
        convert("trex", source, target, force=True)
    assert read_jsonl(target) == [FACT]


def test_a_folder_is_read_file_after_file(tmp_path: Path) -> None:
    for name in ("b", "a"):
        file = tmp_path / "raw" / name / "x.gold_conll"
        file.parent.mkdir(parents=True)
        file.write_text(GOLD.replace("Ann", name), encoding="utf-8")
    assert convert("conll2012_srl", tmp_path / "raw", tmp_path / "out.jsonl") == 2
    assert [row["tokens"][0] for row in read_jsonl(tmp_path / "out.jsonl")] == ["a", "b"]
    with pytest.raises(DataError, match=r"holds no \*\.json file"):
        convert("squad", tmp_path / "raw", tmp_path / "other.jsonl")
    with pytest.raises(DataError, match=r"nothing is not there"):
        convert("squad", tmp_path / "nothing", tmp_path / "other.jsonl")


def test_what_is_asked_must_make_sense(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="format 'conl': did you mean 'conll'"):
        convert("conl", tmp_path, tmp_path / "out.jsonl")
    with pytest.raises(ConfigError, match="--column=3: format 'squad' has no such option"):
        convert("squad", tmp_path, tmp_path / "out.jsonl", column=3)
    with pytest.raises(DataError, match=r"end the name in \.jsonl"):
        convert("squad", tmp_path, tmp_path / "out.csv")
