import json

import pytest

from xnorflow.errors import DataError
from xnorflow.train.loop.metrics import EpochRecord, append_record, draw_curves, read_metrics, write_metrics

RECORDS = [EpochRecord(i, 1 / i, 0.9, 0.8 + i / 100, 0.01, 0.1, 1.5) for i in (1, 2, 3)]


def test_records_are_json_lines(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for record in RECORDS:
        append_record(path, record)
    lines = path.read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]
    assert read_metrics(path) == tuple(RECORDS)
    write_metrics(path, RECORDS[:2])
    assert read_metrics(path) == tuple(RECORDS[:2])


@pytest.mark.parametrize("text", ['{"epoch": 1', '{"epoch": 1}\n', "[1]\n", '{"epoch": "x"}\n'])
def test_damaged_metrics_are_data_errors(tmp_path, text):
    path = tmp_path / "metrics.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match="is damaged"):
        read_metrics(path)


def test_missing_metrics_are_a_data_error(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        read_metrics(tmp_path / "none")


def test_curves_are_a_png_of_some_size(tmp_path):
    path = tmp_path / "curves.png"
    draw_curves(path, RECORDS, "three epochs")
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = (int.from_bytes(content[i : i + 4]) for i in (16, 20))
    assert width > 800 and height > 300
