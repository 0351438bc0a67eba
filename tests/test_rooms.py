"""The rooms import only to their left, and the command line answers without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import saddlepoint

PACKAGE = Path(saddlepoint.__file__).parent

# From left to right; modules in one group do not import one another, except within a room.
ORDER: list[set[str]] = [
    {"errors", "citation"},
    {"processes"},
    {"streams", "schedules", "latents", "storage", "yaml_reading", "alphabets"},
    {"rounds"},
    {"validation"},
    {"data", "networks", "extractors"},
    {"measures"},
    {"objectives", "penalties", "weightings", "views", "stops", "optimizers", "turns", "combiners"},
    {"games", "methods"},
    {"seeds"},
    {"overrides"},
    {"sections"},
    {"evaluation", "verification"},
    {"recipe"},
    {"training", "catalogue"},
    {"demonstrations"},
    {"report"},
    {"run", "progress"},
    {"sampling", "evaluating", "verifying", "printing"},
    {"cli"},
    {"__main__"},
]
PLACE = {room: number for number, group in enumerate(ORDER) for room in group}


def rooms_imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("saddlepoint."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.ImportFrom) and node.module == "saddlepoint":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("saddlepoint.")}
    return found


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def test_every_module_has_a_place() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in modules()}
    assert rooms == set(PLACE)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_to_its_left(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    wrong = {room for room in rooms_imported(path) if room != own and PLACE[room] >= PLACE[own]}
    assert not wrong


def test_help_does_not_import_torch() -> None:
    watch = (
        "import sys; sys.argv = ['saddlepoint', '--help']\n"
        "from saddlepoint.cli import main\n"
        "try: main()\n"
        "finally: assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "train" in done.stdout


def test_only_the_command_line_knows_the_terminal() -> None:
    allowed = {"cli", "progress", "printing", "sampling", "evaluating", "verifying"}
    for path in modules():
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        imports = {
            name
            for node in ast.walk(ast.parse(path.read_text()))
            for name in (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", None) or ""]
            )
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        if own not in allowed:
            assert not {name for name in imports if name.split(".")[0] in ("rich", "typer")}, path


def test_no_pickle_and_no_global_generator() -> None:
    for path in modules():
        text = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith((">>>", "...")))
        assert "import pickle" not in text, path
        assert "manual_seed" not in text, path
        assert all("weights_only=True" in line for line in text.splitlines() if " torch.load(" in line), path
        assert "torch.rand" not in text, path
        assert "np.random.seed" not in text, path
