import struct
from pathlib import Path

import pytest
from random_networks import BINARY, random_network

from xnorflow.compiler.inspect import inspect
from xnorflow.compiler.ir import Encoding
from xnorflow.compiler.storage.network_file import save_network

UNSIGNED4 = (4, Encoding.UNSIGNED)


@pytest.mark.parametrize("hidden", [BINARY, UNSIGNED4], ids=["binary", "unsigned4"])
@pytest.mark.parametrize("widths", [[13, 10], [784, 65, 33, 10], [64, 128, 128, 10], [4] * 13], ids=str)
def test_total_bytes_are_the_files_data_section(
    tmp_path: Path, widths: list[int], hidden: tuple[int, Encoding]
) -> None:
    network = random_network(widths, hidden=hidden)
    path = tmp_path / "network.safetensors"
    save_network(network, path)
    content = path.read_bytes()
    header = struct.unpack("<Q", content[:8])[0]
    table = inspect(network)
    assert table.total.bytes == len(content) - 8 - header
    assert table.total.bytes == sum(row.bytes for row in table.rows)


def test_rows_say_what_each_node_is() -> None:
    network = random_network([784, 1024, 10], source=(8, Encoding.UNSIGNED), hidden=UNSIGNED4)
    table = inspect(network)
    assert [row.cells()[:8] for row in (*table.rows, table.total)] == [
        ("image", "input", "784", "784", "A8", "", "", ""),
        ("dense0", "dense", "784", "1024", "W1A8", "802,816", "1,605,632", ""),
        ("act0", "threshold", "1024", "1024", "A4", "", "15,360", "15,360"),
        ("dense1", "dense", "1024", "10", "W1A4", "10,240", "20,480", ""),
        ("scores", "scores", "10", "10", "", "", "20", ""),
        ("total", "", "784", "10", "", "813,056", "1,641,492", "15,360"),
    ]
    dense = table.rows[1]
    assert (dense.bytes, dense.weight_bits, dense.activation_bits) == (784 * 1024 // 8, 1, 8)
