import subprocess
import sys

import pytest

from xnorflow import train


def test_every_exported_name_is_there():
    for name in train.__all__:
        assert getattr(train, name) is not None
    assert set(train.__all__) == set(train._MODULE_OF)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'BinaryLiner'"):
        _ = train.BinaryLiner


def test_importing_the_room_is_light():
    code = "import sys; from xnorflow import train; train.list_recipes(); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
