"""A user's own module and data, in a folder of their own: compiled in one process, run without torch in another."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

TRAINED = """
import numpy as np
import torch
from torch import nn

import xnorflow
from xnorflow.train import BatchNorm1d, BinaryLinear, InputQuantizer, QuantReLU, ScoreNorm, Sign


class Sensor(nn.Module):
    def __init__(self):
        super().__init__()
        self.sample = InputQuantizer(4, "unsigned", lo=-1.5, hi=1.5)
        self.first = BinaryLinear(24, 16)
        self.first_norm = nn.BatchNorm1d(16)
        self.first_act = QuantReLU(2, 0.8)
        self.second = nn.Sequential(BinaryLinear(16, 12), BatchNorm1d(12), Sign())
        self.head = BinaryLinear(12, 3)
        self.scores = ScoreNorm(3)

    def forward(self, x):
        x = self.sample(x).flatten(1)
        x = self.first_act(self.first_norm(self.first(x)))
        return self.scores(self.head(self.second(x)))


torch.manual_seed(1)
torch.set_num_threads(1)
signals = np.load("signals.npy")
labels = torch.from_numpy(np.load("labels.npy"))
module = Sensor()
optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
for _ in range(60):
    optimizer.zero_grad()
    nn.functional.cross_entropy(module(torch.from_numpy(signals)), labels).backward()
    optimizer.step()
network = xnorflow.compile(module, signals[:4], class_names=["calm", "rising", "falling"])
assert module.training
xnorflow.save_network(network, "sensor.safetensors")
with torch.no_grad():
    np.save("expected.npy", module.eval()(torch.from_numpy(signals)).argmax(1).numpy())
"""

WITHOUT_TORCH = """
import json
import sys

sys.modules["torch"] = None
import numpy as np

import xnorflow
from xnorflow.compiler import run

network = xnorflow.load_network("sensor.safetensors")
trace = run(network, network.input_codes(np.load("signals.npy")))
print(json.dumps({"classes": trace.classes.tolist(), "nodes": list(trace), "names": network.class_names}))
"""


def python(script: str, folder: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_users_own_module_and_data(tmp_path: Path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    slopes = np.array([0.0, 1.0, -1.0])[labels]
    ramp = np.linspace(-1, 1, 24).reshape(2, 12)
    signals = (slopes[:, None, None] * ramp + 0.2 * rng.normal(size=(120, 2, 12))).astype(np.float32)
    np.save(tmp_path / "signals.npy", signals)
    np.save(tmp_path / "labels.npy", labels)
    python(TRAINED, tmp_path)
    answer = json.loads(python(WITHOUT_TORCH, tmp_path))
    expected = np.load(tmp_path / "expected.npy")
    assert answer["classes"] == expected.tolist()
    assert (expected == labels).mean() > 0.9  # trained: the classes are not all the same by accident
    assert answer["nodes"] == ["inputs", "first", "first_act", "second_0", "second_2", "head", "scores"]
    assert answer["names"] == ["calm", "rising", "falling"]
