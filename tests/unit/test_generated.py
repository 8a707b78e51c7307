"""Generated files are as the code has them: the config file's schema, its reference, the drawing of the layers."""

from __future__ import annotations

import pytest

from docs.generate import GENERATED, Generated


@pytest.mark.parametrize("generated", GENERATED, ids=lambda generated: generated.name or generated.path.name)
def test_it_is_not_stale(generated: Generated) -> None:
    assert generated.current() == generated.text(), "run make generate"
