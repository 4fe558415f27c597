from __future__ import annotations

import ast
import math
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import onnxbench
from onnxbench import catalog, catalog_yaml, registry
from onnxbench.errors import CatalogError, UsageError
from onnxbench.sources import BATCH, InputSpec, Preprocess, Published
from onnxbench.types import ModelSpec

SHIPPED = Path(onnxbench.__file__).parent.parent / "models.yaml"
OURS = catalog.load(SHIPPED)
LEAST = 'version: 1\nmodels:\n  - {id: a, source: "file:a.onnx"}\n'


def load(tmp_path: Path, text: str | bytes) -> catalog.Catalog:
    path = tmp_path / "models.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return catalog.load(path)


# ------------------------------------------------------------------------------- what is accepted


def test_least_catalogue_is_its_own_default_suite(tmp_path: Path) -> None:
    found = load(tmp_path, LEAST)
    assert found.find("a").source == f"file:{tmp_path / 'a.onnx'}"
    assert [spec.id for spec in found.suite("default")] == ["a"]


def test_every_field_arrives(tmp_path: Path) -> None:
    text = """
version: 1
models:
  - id: A.b-1
    source: "timm:resnet50.a1_in1k"
    task: image-classification
    family: resnet
    weights: pretrained
    tags: [cnn, big]
    input_range: [-1, 1.5]
    published:
      - {macs: 12, top1: 76, size: 224, convention: pure, source: "somewhere"}
      - {params: 3, buffers: 1, top5: 90.5, source: "elsewhere"}
    inputs: {image: [batch, 3, 224, 224], ids: {shape: [batch, 8], dtype: int64, high: 100}}
    preprocess: {resize: 256, crop: 224, interpolation: bicubic, mean: [0.5], std: [1],
                 channels: BGR}
    opset: 17
    weights_from: "some-package==1.0"
    arguments: {groups: 3, widths: [0.5, 1], name: x, deep: true}
    fuse: true
"""
    spec = load(tmp_path, text).find("A.b-1")
    assert (spec.scheme, spec.location) == ("timm", "resnet50.a1_in1k")
    assert (spec.task, spec.family, spec.weights) == (
        "image-classification",
        "resnet",
        "pretrained",
    )
    assert spec.tags == ("cnn", "big")
    assert spec.input_range == (-1, 1.5)
    assert spec.published == (
        Published("somewhere", "pure", top1=76.0, macs=12, size=224),
        Published("elsewhere", top5=90.5, params=3, buffers=1),
    )
    assert spec.inputs == (
        InputSpec("image", (BATCH, 3, 224, 224)),
        InputSpec("ids", (BATCH, 8), "int64", 100),
    )
    assert spec.preprocess == Preprocess(
        resize=256,
        crop=(224, 224),
        interpolation="bicubic",
        mean=(0.5,),
        std=(1.0,),
        channels="BGR",
    )
    assert (spec.opset, spec.weights_from, spec.fuse) == (17, "some-package==1.0", True)
    assert spec.arguments == (("groups", 3), ("widths", (0.5, 1)), ("name", "x"), ("deep", True))
    assert hash(spec) == hash(load(tmp_path, text).find("A.b-1"))


def test_a_download_needs_its_hash(tmp_path: Path) -> None:
    text = LEAST.replace("file:a.onnx", "url:https://example.org/a.onnx")
    with pytest.raises(CatalogError, match=":3:5: a is downloaded, so it needs a sha256"):
        load(tmp_path, text)
    found = load(tmp_path, text.replace("}", f", sha256: {'0a' * 32}}}"))
    assert found.find("a").sha256 == "0a" * 32


def test_suites_by_ids_tags_and_alias(tmp_path: Path) -> None:
    text = """
version: 1
suites:
  default: big
  big: {tags: [x, y]}
  two: [b, a, b]
models:
  - {id: a, source: "s:1", tags: [x, y]}
  - {id: b, source: "s:2", tags: [x]}
  - {id: c, source: "s:3", tags: [y, x]}
"""
    found = load(tmp_path, text)
    assert found.suites == {"default": ("a", "c"), "big": ("a", "c"), "two": ("b", "a")}


def test_a_python_file_in_a_source_is_found_from_anywhere(tmp_path: Path) -> None:
    found = load(tmp_path, LEAST.replace("file:a.onnx", "torch:nets/mine.py:tiny"))
    assert found.find("a").source == f"torch:{tmp_path / 'nets/mine.py'}:tiny"
    found = load(tmp_path, LEAST.replace("file:a.onnx", "torch:package.module:tiny"))
    assert found.find("a").source == "torch:package.module:tiny"


def test_absolute_file_source_stays(tmp_path: Path) -> None:
    found = load(tmp_path, LEAST.replace("file:a.onnx", "file:/models/a.onnx"))
    assert found.find("a").source == "file:/models/a.onnx"


def test_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    assert "a" in load(tmp_path, b"\xef\xbb\xbf" + LEAST.encode()).models


# --------------------------------------------------------------------------------- what is refused

HEAD = "version: 1\nmodels:\n  - id: a\n    source: s:1\n"
"""Four lines; what follows starts in line 5."""


@pytest.mark.parametrize(
    ("text", "where", "says", "hint"),
    [
        ("", "1:1", "empty", "version: 1"),
        ("- 1\n", "1:1", "should be a mapping", ""),
        ("models: [{id: a, source: 's:1'}]\n", "1:1", "version is missing", ""),
        ("version: 2\nmodels: [{id: a, source: 's:1'}]\n", "1:10", "should be 1", ""),
        ("version: 1\nmodels: []\n", "2:9", "at least 1 item", ""),
        ("version: 1\n", "1:1", "the key models is missing", ""),
        (
            "version: 1\nmodel: []\n",
            "2:1",
            "unknown key model (and 1 more)",
            "did you mean models?",
        ),
        (HEAD + "    sorce: s:2\n", "5:5", "unknown key sorce", "did you mean source?"),
        (HEAD + "suite: {}\n", "5:1", "unknown key suite", "did you mean suites?"),
        (HEAD + "    source: s:2\n", "5:5", "source stands here a second time", "line 4"),
        (HEAD + "  - id: a\n    source: s:2\n", "5:9", "the id a stands here a second time", ""),
        (HEAD + "  - id: b/../c\n    source: s:2\n", "5:9", "'b/../c' is not an id of", ""),
        (HEAD + f"  - id: {'b' * 101}\n    source: s:2\n", "5:9", "at most 100", ""),
        (HEAD + "  - id: .hidden\n    source: s:2\n", "5:9", "'.hidden' is not an id", ""),
        (HEAD + "  - id: no\n    source: s:2\n", "5:9", "id: Input should be a valid string", ""),
        (HEAD + "  - id: b\n    source: plain.onnx\n", "6:13", "is not SCHEME:LOCATION", ""),
        (HEAD + "  - id: b\n", "5:5", "the key source is missing", ""),
        (HEAD + "    weights: real\n", "5:14", "'pretrained', 'random' or 'light'", ""),
        (HEAD + "    tags: cnn\n", "5:11", "valid list", ""),
        (HEAD + "    input_range: [1]\n", "5:18", "at least 2 items", ""),
        (HEAD + "    input_range: [1, 1]\n", "5:18", "below the high end", ""),
        (HEAD + "    input_range: [.nan, 1]\n", "5:19", "must be finite", ""),
        (HEAD + "    published: {macs: .inf}\n", "5:23", "must be finite", ""),
        (HEAD + "    published: {source: x}\n", "5:16", "valid list", ""),
        (HEAD + "    published: [{source: x, macs: -1}]\n", "5:35", "or equal to 0", ""),
        (HEAD + "    published: [{source: x, top1: 101}]\n", "5:35", "or equal to 100", ""),
        (HEAD + "    published: [{source: x, top1: '3'}]\n", "5:35", "top1: Input should be", ""),
        (HEAD + "    published: [{macs: 1}]\n", "5:17", "the key source is missing", ""),
        (HEAD + "    published: [{source: x, param: 1}]\n", "5:29", "key param", "mean params?"),
        (HEAD + "    published: [{source: x, top: 1}]\n", "5:29", "key top", "top1 or top5?"),
        (HEAD + "    preprocess: 3\n", "5:17", "should be a mapping", ""),
        (HEAD + "    preprocess: {rezise: 3}\n", "5:18", "unknown key rezise", "mean resize?"),
        (HEAD + "    preprocess: {resize: big}\n", "5:26", "pixels, or [height, width]", ""),
        (HEAD + "    preprocess: {crop: [1]}\n", "5:24", "at least 2 items", ""),
        (HEAD + "    preprocess: {std: [0]}\n", "5:24", "greater than 0", ""),
        (HEAD + "    preprocess: {std: [1]}\n", "5:17", "3 channels, std has 1", ""),
        (HEAD + "    inputs: [1]\n", "5:13", "should be a mapping", ""),
        (HEAD + "    inputs: {x: 3}\n", "5:17", "x: an input is a shape such as", ""),
        (HEAD + "    inputs: {x: [bach, 3]}\n", "5:18", "should be 'batch'", ""),
        (HEAD + "    inputs: {x: [1.5]}\n", "5:18", "a dim is a number", ""),
        (HEAD + "    inputs: {x: [1, batch]}\n", "5:21", "always the first dim", ""),
        (HEAD + "    inputs: {x: {shape: [1, batch]}}\n", "5:29", "always the first dim", ""),
        (HEAD + "    inputs: {x: {shape: []}}\n", "5:25", "at least 1 item", ""),
        (HEAD + "    inputs: {x: {shpe: [1]}}\n", "5:18", "unknown key shpe", "mean shape?"),
        (
            HEAD + "    inputs: {dict: {list: 1}}\n",
            "5:21",
            "unknown key list",
            "dtype, high, shape",
        ),
        (HEAD + "    arguments: {a: {b: 1}}\n", "5:20", "a: an argument is text", ""),
        (HEAD + "    arguments: {a: [[1]]}\n", "5:21", "should be text, a number", ""),
        (HEAD + "    weights_from: pkg>=1\n", "5:19", "is not one release of one", ""),
        (HEAD + "    sha256: abc\n", "5:13", "is not a SHA-256", ""),
        (HEAD + f"    sha256: {'0a' * 32}\n", "5:13", "only what a url: source downloads", ""),
        (HEAD + "    opset: 3\n", "5:12", "or equal to 7", ""),
        (HEAD + "    fuse: 1\n", "5:11", "fuse: Input should be a valid boolean", ""),
        (HEAD + "    published: {date: 2026-02-31}\n", "5:23", "", ""),
        (HEAD + f"    published: {{macs: {'9' * 5000}}}\n", "5:23", "digit", ""),
        (HEAD + "    1: x\n", "5:5", "a key must be text", "quotes"),
        (HEAD + "    <<: {tags: [x]}\n", "5:5", "a key must be text", "quotes"),
        (HEAD + "    task: !!python/name:os.system x\n", "5:11", "python/name", ""),
        (HEAD + "    task: !!set {x}\n", "5:11", "not allowed", ""),
        (HEAD + "    tags: &t [x]\n    task: *t\n", "6:11", "aliases", ""),
        (HEAD + "    tags: [x\n", "6:1", "expected ',' or ']'", ""),
        (HEAD + "\ttags: [x]\n", "5:1", "cannot start any token", ""),
        (HEAD + "---\nversion: 1\n", "5:1", "another document", ""),
        (HEAD + "    task: " + "[" * 5000 + "\n", "5:", "nested deeper", ""),
        (HEAD + "    task: 'a\x00b'\n", "5:13", "U+0000", ""),
        (HEAD + "suites: {s: [b]}\n", "5:14", "no model b", ""),
        (HEAD + "    family: A\n", "5:13", "'A' is not a word", ""),
        (HEAD + "suites: {s: [1]}\n", "5:14", "s: Input should be", ""),
        (HEAD + "suites: {s: 3}\n", "5:13", "a suite is a list", ""),
        (HEAD + "suites: {s: {tags: [cn]}}\n", "5:13", "no model carries", ""),
        (HEAD + "suites: {s: {}}\n", "5:13", "tags is missing", ""),
        (HEAD + "suites: {s: {tag: [cn]}}\n", "5:14", "unknown key tag", "did you mean tags?"),
        (HEAD + "suites: {s: t, t: s}\n", "5:13", "no suite t", ""),
        (HEAD + "suites: {default: al, all: [a]}\n", "5:19", "no suite al", "did you mean all?"),
        (HEAD.encode() + b"    task: \xff\n", "5:11", "not UTF-8", "UTF-8"),
        ((HEAD + "    task: é").encode() + b"\xff", "5:12", "not UTF-8", "UTF-8"),
        (b"# " + b"x" * catalog_yaml.MAX_BYTES, "1:1", "longer than", "split"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, (str, bytes)) else None,
)
@pytest.mark.parametrize("libyaml", [True, False], ids=["libyaml", "python"])
def test_error_says_where(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str | bytes,
    where: str,
    says: str,
    hint: str,
    *,
    libyaml: bool,
) -> None:
    if libyaml and not yaml.__with_libyaml__:
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(yaml, "__with_libyaml__", libyaml)
    with pytest.raises(CatalogError) as caught:
        load(tmp_path, text)
    assert caught.value.message.startswith(f"{tmp_path / 'models.yaml'}:{where}")
    assert says in caught.value.message
    assert hint in caught.value.hint


def test_first_error_of_several_is_told(tmp_path: Path) -> None:
    # First in the file, not in the order of the schema.
    text = "version: 1\nsuites: {S: [a]}\nmodels:\n  - {id: '', source: x, tags: 1}\n"
    with pytest.raises(CatalogError, match=r":2:10: .* \(and 3 more\)$"):
        load(tmp_path, text)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path, Path("a\0b")):
        with pytest.raises(CatalogError):
            catalog.load(path)


@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
def test_no_bytes_raise_anything_else(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(data)
    with pytest.raises(CatalogError):
        catalog.load(path)


# --------------------------------------------------------------------------------------- lookups


def test_unknown_names_get_the_nearest() -> None:
    found = OURS
    with pytest.raises(UsageError) as caught:
        found.find("Resnet50")
    assert caught.value.hint == "did you mean resnet50?"
    with pytest.raises(UsageError) as caught:
        found.suite("classic")
    assert caught.value.hint == "did you mean classics?"


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("resnet5O", "resnet50"),
        ("resnet-50", "resnet50"),
        ("ResNet_152", "resnet152"),
        ("effnet-b0", "efficientnet-b0"),
        ("efficentnetb3", "efficientnet-b3"),
        ("mobilnetv2", "mobilenet-v2-1.0"),
        ("inceptionv3", "inception-v3"),
        ("shufflenet", "shufflenet-v1"),
        ("squezenet1.1", "squeezenet-1.1"),
        ("vit_base_patch16", "vit-base-16"),
        ("repvgg_a0_fuse", "repvgg-a0-fused"),
    ],
)
def test_mistyped_ids_find_theirs_among_all(typed: str, nearest: str) -> None:
    with pytest.raises(UsageError) as caught:
        OURS.find(typed)
    assert nearest in caught.value.hint.rstrip("?").replace(",", "").split()


def test_wildcards_select_in_the_order_of_the_catalogue(tmp_path: Path) -> None:
    ids = ["net-b", "net-a", "other", "net-c"]
    text = "version: 1\nmodels:\n" + "".join(f"  - {{id: {i}, source: 's:1'}}\n" for i in ids)
    found = load(tmp_path, text)

    def selected(*patterns: str) -> list[str]:
        return [spec.id for spec in found.select(patterns)]

    assert selected("net-*") == ["net-b", "net-a", "net-c"]
    assert selected("net-[ac]", "*b") == ["net-a", "net-c", "net-b"]
    assert selected("net-c", "net-?", "net-c") == ["net-c", "net-b", "net-a"]
    assert selected("*") == ids
    assert selected() == []


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [("resnt*", "resnet*"), ("*mobilnet-v3-smal*", "mobilenet-v3-small"), ("resnet5O", "resnet50")],
)
def test_a_pattern_that_names_nothing_is_refused(pattern: str, hint: str) -> None:
    with pytest.raises(UsageError, match="no model") as caught:
        OURS.select(["alexnet", pattern])
    assert hint in caught.value.hint


def test_file_here_goes_before_the_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "vgg19-light" in catalog.load().models
    (tmp_path / "models.yaml").write_text(LEAST)
    assert list(catalog.load().models) == ["a"]
    assert "vgg19-light" in catalog.load(SHIPPED).models


def test_pydantic_waits_until_a_catalogue_is_read() -> None:
    code = "import onnxbench.catalog, sys; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -------------------------------------------------------------------------------- our own catalogue

LITERATURE = """
alexnet bn-alexnet bn-nin enet googlenet vgg16 vgg19 resnet18 resnet34 resnet50 resnet101 resnet152
inception-v3 inception-v4 inception-resnet-v2 xception densenet121 densenet169 densenet201
squeezenet-1.0 squeezenet-1.1 nasnet-a-large nasnet-a-mobile pnasnet5-large dpn68 senet154
se-resnet50 se-resnext50-32x4d se-resnext101-32x4d
shufflenet-v1 shufflenet-v2-0.33 shufflenet-v2-0.5 shufflenet-v2-1.0 shufflenet-v2-1.5
shufflenet-v2-2.0 mobilenet-v1 mobilenet-v2-0.25 mobilenet-v2-0.35 mobilenet-v2-0.5
mobilenet-v2-1.0 mobilenet-v2-1.4 mobilenet-v3-small-0.35 mobilenet-v3-small-1.0
mobilenet-v3-small-1.25 mobilenet-v3-large-0.35 mobilenet-v3-large-1.0 mobilenet-v3-large-1.25
ghostnet-0.5 ghostnet-1.0 ghostnet-1.3 mnasnet-1.0 efficientnet-lite0 efficientnet-lite1
efficientnet-lite2 efficientnet-lite3 efficientnet-lite4 pp-lcnet-0.25 pp-lcnet-0.5 pp-lcnet-1.0
pp-lcnet-v2-base
efficientnet-b0 efficientnet-b1 efficientnet-b2 efficientnet-b3 efficientnet-b4 efficientnet-b5
efficientnet-b6 efficientnet-b7 efficientnet-b0-small efficientnet-v2-m resnext101-32x8d-wsl
resnext101-32x16d-wsl resnext101-32x32d-wsl resnext101-32x48d-wsl fix-resnext101-32x48d
pp-hgnet-small resnext50-32x4d res2net50-26w-4s hrnet-w18 resnest50 regnet-x-3.2gf repvgg-a0
repvgg-a0-fused mixnet-s rexnet-1.0 hardnet68 dla34 rednet50 convnext-tiny van-b0 peleenet
cspdarknet53 vit-base-16 deit-small swin-tiny twins-svt-small cswin-tiny pvt-v2-b0 levit-128
tnt-small mobilevit-s
"""
"""What the literature that this project follows compares, one network or more of each."""


def test_every_architecture_of_the_literature_can_be_named() -> None:
    assert set(LITERATURE.split()) - set(OURS.models) == set()


def test_shipped_suites() -> None:
    found = OURS
    assert len(found.suite("classics")) == 9
    assert found.suite("default") == found.suite("classics")
    assert len(found.suite("smoke")) == 2
    assert len(found.suite("bianco2018")) == 44
    assert {spec.weights for spec in found.suite("classics")} == {"light"}
    named = {"canziani2016", "light-cnn", "paddleclas-2023", "efficientnet"}
    assert named < set(found.suites)
    assert all(found.suites.values())


def test_cost_tells_mobile_desktop_and_server_apart() -> None:
    cost = {"mobile": (0.0, 0.6e9), "desktop": (0.6e9, 6e9), "server": (6e9, math.inf)}
    for spec in OURS.models.values():
        classes = [tag for tag in spec.tags if tag in cost]
        assert len(classes) == (spec.weights != "light"), spec.id
        for published in spec.published:
            if classes and published.macs:
                low, high = cost[classes[0]]
                assert low < published.macs <= high, spec.id


def test_figures_of_one_network_are_of_one_size() -> None:
    for spec in OURS.models.values():
        assert len({each.size for each in spec.published}) < 2, spec.id


def test_every_source_has_an_exporter() -> None:
    models = OURS.models.values()
    registered = {each.name for each in registry.exporters()}
    assert {spec.scheme for spec in models} <= registered


def test_every_network_written_from_its_paper_is_there() -> None:
    for spec in OURS.models.values():
        if spec.scheme == "torch":
            module, _, function = spec.location.partition(":")
            source = SHIPPED.parent / f"{module.removeprefix('onnxbench.').replace('.', '/')}.py"
            defined = {getattr(node, "name", None) for node in ast.parse(source.read_text()).body}
            assert function in defined, spec.id


def test_who_says_nothing_of_its_inputs_is_asked() -> None:
    """paddle and torch sources do not know which pictures they take; timm and torchvision do."""
    for spec in OURS.models.values():
        if spec.scheme in {"torch", "paddle"}:
            assert [each.name for each in spec.inputs] == ["image"], spec.id
            assert spec.preprocess, spec.id


@pytest.mark.parametrize("spec", OURS.suite("classics"), ids=lambda spec: spec.id)
def test_published_figures_are_those_of_the_file(spec: ModelSpec) -> None:
    """Counts anew, from shapes alone, what models.yaml states about each light network."""
    folder = Path(onnx.__file__).parent / "backend/test/data/light"
    model = onnx.shape_inference.infer_shapes(
        onnx.load(folder / f"light_{spec.location}.onnx"), data_prop=True
    )
    graph = model.graph
    size = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*graph.value_info, *graph.input, *graph.output]
    } | {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    weights = {t.name for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    weights |= {o for n in graph.node if n.op_type == "ConstantOfShape" for o in n.output}
    used = {name for node in graph.node for name in node.input}
    buffers = {
        name for n in graph.node if n.op_type == "BatchNormalization" for name in n.input[3:5]
    }
    macs = 0
    for node in graph.node:
        if node.op_type == "Conv":  # the weight is [out, in / group, *kernel]
            macs += math.prod(size[node.output[0]]) * math.prod(size[node.input[1]][1:])
        elif node.op_type in {"Gemm", "MatMul"}:
            macs += size[node.output[0]][0] * math.prod(size[node.input[1]])
    (figures,) = spec.published
    assert figures.macs == macs
    assert figures.params == sum(math.prod(size[w]) for w in (weights & used) - buffers)
    assert figures.buffers == sum(math.prod(size[b]) for b in buffers)
