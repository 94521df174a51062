"""The matrix and the deselect file."""

import pytest
from oracle import settings
from oracle.workplace import OracleError

ENTRY = '[[test]]\nid = "tests/test_a.py::test_b"\nversions = "{}"\nreason = "{}"\n'


@pytest.mark.parametrize(
    ("condition", "versions"),
    [
        ("==1.9.3", {"1.9.3"}),
        (">=1.12,<1.15", {"1.12.2", "1.14.7"}),
        (">=1.9", {"1.9.3", "1.12.2", "1.14.7", "1.15.30"}),
        ("", {"1.9.3", "1.12.2", "1.14.7", "1.15.30"}),
    ],
)
def test_conditions_choose_versions(tmp_path, condition, versions):
    path = tmp_path / "deselect.toml"
    path.write_text(ENTRY.format(condition, "sleeps for too long"))
    known = ("1.9.3", "1.12.2", "1.14.7", "1.15.30")
    assert {version for version in known if settings.deselected(version, path)} == versions


@pytest.mark.parametrize(
    "text",
    [
        ENTRY.format("newest", "it is"),
        ENTRY.format(">=1", " "),
        '[[test]]\nid = "x"\n',
        "[[test]\n",
    ],
)
def test_a_malformed_entry_is_an_error(tmp_path, text):
    path = tmp_path / "deselect.toml"
    path.write_text(text)
    with pytest.raises(OracleError, match=r"deselect\.toml"):
        settings.deselected("1.15.30", path)


def test_our_files_are_well_formed():
    versions = settings.matrix()
    assert versions[0].subset == "full"
    for version in versions:
        settings.deselected(version.crewai)
        assert version.why
        assert any(text.endswith(f"=={version.crewai}") for text in version.requirements)


def test_a_version_outside_the_matrix_gets_the_defaults():
    version = settings.version("1.15.1")
    assert "crewai-files==1.15.1" in version.requirements
    assert version.overrides == settings.version("1.15.30").overrides
