"""Names of devices: which there are, and what is said of the others."""

import pytest
import torch

from scoring.contract import FailureCode
from scoring.errors import ScoringError
from scoring.torch_device import torch_device


def test_the_processor_is_always_there() -> None:
    assert torch_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", f"cuda:{torch.cuda.device_count()}"])
def test_a_gpu_that_is_not_there_is_the_machines_fault(name: str) -> None:
    with pytest.raises(ScoringError, match=name) as caught:
        torch_device(name)
    assert caught.value.code is FailureCode.DEVICE_UNAVAILABLE


@pytest.mark.parametrize("name", ["", "gpu", "cuda:x", "meta", "cuda:-1"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(ScoringError) as caught:
        torch_device(name)
    assert caught.value.code is FailureCode.BAD_REQUEST
    assert "cuda:N" in caught.value.remedy
