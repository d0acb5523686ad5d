import pytest

from xnorflow.train.recipe import ActivationSpec, AugmentSpec, InputSpec, ModelSpec, OptimizerSpec, Recipe, WeightSpec


@pytest.fixture
def quick():
    """A recipe of a second in which every kind of random number is drawn."""
    return Recipe(
        name="quick",
        description="a run for the tests",
        dataset="digits",
        input=InputSpec(bits=2, lo=0, hi=16, encoding="unsigned"),
        model=ModelSpec(
            hidden=(12, 12),
            weights=WeightSpec("stochastic"),
            activation=ActivationSpec("stochastic"),
            dropout_input=0.1,
            dropout_hidden=0.1,
        ),
        optimizer=OptimizerSpec(lr=0.01, lr_final=0.0001),
        augment=AugmentSpec(rotate=5, scale=0.05, shear=0.05, shift=0.5),
        epochs=4,
        threads=1,
    )
