"""`xnorflow bench`: the figures of docs/results.md that are not counts. What they mean is in `flow.figures`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import HardwareError, UsageError
from .options import DataDir, Json, arithmetic_kind, popcount_kind
from .output import plain, print_json, print_lines, print_table

if TYPE_CHECKING:
    from ..hdl.tools.resource_bench import Compared

__all__ = ["app"]

app = typer.Typer(help="Measure speed, memory and area; ratios are taken in one run.", no_args_is_help=True)

Threads = Annotated[int, typer.Option(help="Threads of both sides.", metavar="N")]
Limit = Annotated[int | None, typer.Option("--images", help="Take the first N test images.", metavar="N")]


@app.command("step")
def step(threads: Threads = 2, as_json: Json = False) -> None:
    """Training step of 784-3x512-10, batch 128: every method against float."""
    from ..train.loop.step_bench import step_ratios

    result = step_ratios(threads=threads)
    if as_json:
        print_json(result)
        return
    print_lines(f"float {result.float_s * 1e3:.2f} ms a step, {result.threads} threads, medians of {result.steps}")
    rows = [(step.name, f"{step.seconds * 1e3:.2f}", f"{step.ratio:.3f}") for step in result.methods]
    print_table(("method", "ms", "ratio"), rows, left=1)


@app.command("cpu")
def cpu(
    run_dir: Annotated[Path, typer.Argument(help="Trained run.", metavar="RUN_DIR", show_default=False)],
    images: Limit = None,
    threads: Threads = 2,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """The fast CPU backend against the PyTorch module, over the test split."""
    from ..flow import figures

    result = figures.bench_cpu(run_dir, data_dir=data_dir, limit=images, threads=threads)
    if as_json:
        print_json(result)
    else:
        print_lines(
            f"{result.samples:,} images: backend {result.backend_ms:.1f} ms, PyTorch {result.module_ms:.1f} ms: "
            f"{result.ratio:.2f}x faster ({result.threads} threads), {result.disagreements:,} disagreements"
        )


@app.command("simulation")
def simulation(
    design: Annotated[Path, typer.Argument(help="Design folder.", metavar="DIR", show_default=False)],
    data: Annotated[str | None, typer.Option(help="Data set. (default: the network's own)", metavar="NAME")] = None,
    images: Limit = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """cocotb against a bare Verilator C++ loop of the same design."""
    from ..flow import figures

    result = figures.bench_simulation(design, data=data, images=images, data_dir=data_dir)
    if as_json:
        print_json({"ratio": result.ratio, "cocotb_kcps": result.cocotb_kcps, "bare_kcps": result.bare_kcps})
    else:
        print_lines(
            f"{result.images:,} images, {result.cycles:,} cycles: cocotb {result.cocotb_kcps:,.0f}, "
            f"bare loop {result.bare_kcps:,.0f} kcycles/s: ratio {result.ratio:.2f}"
        )


@app.command("cycles")
def cycles(
    design: Annotated[Path, typer.Argument(help="Design folder.", metavar="DIR", show_default=False)],
    traces: Annotated[int, typer.Option(help="Seeds of stalls, beside a run without.", min=0, metavar="N")] = 20,
    images: Annotated[int, typer.Option(help="Frames of a trace.", min=1, metavar="N")] = 32,
    data: Annotated[str | None, typer.Option(help="Data set. (default: random samples)", metavar="NAME")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """The cycle model against simulation: the cycle of every frame's result, and the most beats that every line buffer
    and FIFO held, under random stalls."""
    from ..flow import figures

    wrong: dict[str, list[int]] = {}
    buffers: dict[str, list[str]] = {}
    checked = 0
    for check in figures.bench_cycles(design, traces=traces, images=images, data=data, data_dir=data_dir):
        name = "no stalls" if check.stalls is None else f"stalls {check.stalls}"
        checked += len(check.simulated)
        if check.differing:
            wrong[name] = check.differing
        if check.differing_buffers:
            buffers[name] = check.differing_buffers
        if not as_json:
            frames = f"{len(check.simulated):,} frames in {check.simulated[-1]:,} cycles"
            differing = ", ".join(
                f"frame {f}: {check.predicted[f]:,} predicted, {check.simulated[f]:,} simulated"
                for f in check.differing[:3]
            )
            print_lines(f"{name}: {frames}, {len(check.differing)} differ" + (f" ({differing})" if differing else ""))
    differ = sum(len(frames) for frames in wrong.values())
    if as_json:
        print_json({"traces": traces + 1, "frames": checked, "differing": wrong, "differing_buffers": buffers})
    else:
        marks = f", {len(check.simulated_most)} marks of buffers each: {sum(map(len, buffers.values()))} differ"
        print_lines(f"{traces + 1} traces, {checked:,} frames: {differ:,} differ" + marks * bool(check.simulated_most))
    if wrong or buffers:
        where = ", ".join([*wrong, *buffers])
        raise HardwareError(f"{design}: the cycle model and simulation differ ({where})")


@app.command("generation")
def generation(
    file: Annotated[
        Path | None, typer.Argument(help="Network file. (default: see --vgg)", metavar="FILE", show_default=False)
    ] = None,
    vgg: Annotated[bool, typer.Option("--vgg", help="Take a random VGG-like network of 14 Mbit.")] = False,
    folding: Annotated[Path | None, typer.Option(help="Folding to use.", metavar="FILE.yaml")] = None,
    board: Annotated[str, typer.Option(help="Known board, or a YAML file.", metavar="NAME|FILE.yaml")] = "pynq-z1",
    as_json: Json = False,
) -> None:
    """Time and peak memory of `xnorflow generate`."""
    from ..flow import figures

    if (file is None) != vgg:
        raise UsageError("give a network file or --vgg, and not both")
    result = figures.bench_generation(file, folding=folding, board=board)
    if as_json:
        print_json(result)
    else:
        print_lines(
            f"{result.weight_bits / 1e6:.1f} Mbit of weights: {result.seconds:.1f} s, peak {result.peak_mib:,.0f} MiB"
        )


@app.command("area")
def area(
    pe: Annotated[int, typer.Option(help="Rows worked on in a cycle.")] = 32,
    simd: Annotated[int, typer.Option(help="Columns worked on in a cycle.")] = 64,
    popcount: Annotated[str, typer.Option(help="How bits are counted, adders or lut6.")] = "lut6",
    out: Annotated[Path, typer.Option(help="Where Yosys works.", metavar="DIR")] = Path("build/area"),
    as_json: Json = False,
) -> None:
    """LUTs of an engine of 1,024 x 1,024 1-bit weights by Yosys' synth_xilinx."""
    from ..hdl.tools.area_bench import engine_area

    result = engine_area(out, pe=pe, simd=simd, popcount=popcount_kind(popcount))
    if as_json:
        print_json(result)
    else:
        print_lines(
            f"SIMD {simd} x PE {pe}: {result.area.luts:,} LUTs, {result.luts_per_weight:.3f} a weight handled in a "
            f"cycle; {result.area.estimated_lcs:,} estimated LCs, {result.lcs_per_weight:.3f}; "
            f"{result.area.flip_flops:,} flip-flops, {result.area.block_rams:g} block RAMs"
        )


@app.command("fmax")
def fmax(
    pe: Annotated[int, typer.Option(help="Rows worked on in a cycle.")] = 32,
    simd: Annotated[int, typer.Option(help="Columns worked on in a cycle.")] = 64,
    pipeline: Annotated[int, typer.Option(help="Registers from weights to counts.", min=1, metavar="N")] = 5,
    rows: Annotated[int, typer.Option(help="Rows of the matrix.", min=1)] = 1024,
    columns: Annotated[int, typer.Option(help="Columns of the matrix.", min=1)] = 1024,
    memory: Annotated[str, typer.Option(help="Where weights lie, block or lut.")] = "block",
    as_built: Annotated[
        bool, typer.Option("--as-built", help="As `build` does, no registers moved into block RAMs.")
    ] = False,
    seeds: Annotated[int, typer.Option(help="Placements, of which the median counts.", min=1, metavar="N")] = 5,
    out: Annotated[Path, typer.Option(help="Where Yosys and nextpnr work.", metavar="DIR")] = Path("build/fmax"),
    workers: Annotated[int, typer.Option(help="Placements made at once.", min=1)] = 2,
    as_json: Json = False,
) -> None:
    """Clock of an engine of 1,024 x 1,024 1-bit weights in block RAM, placed and routed on an ECP5-85F."""
    from ..compiler.folds.folding import Memory
    from ..hdl.tools.fmax_bench import engine_clock

    if memory not in ("block", "lut"):
        raise UsageError(f"memory must be block or lut, not {memory!r}")
    result = engine_clock(
        out,
        rows=rows,
        columns=columns,
        pe=pe,
        simd=simd,
        stages=pipeline,
        memory=Memory(memory),
        as_built=as_built,
        seeds=range(1, seeds + 1),
        workers=workers,
    )
    if as_json:
        print_json(result)
        return
    each = ", ".join(f"{mhz:.1f}" for mhz in result.mhz.values())
    print_lines(
        f"SIMD {simd} x PE {pe}, pipeline {pipeline}: median {result.median_mhz:.1f} MHz of {seeds} seeds ({each})",
        f"{result.block_rams} block RAMs, {result.registered_block_rams} of them with registered outputs; "
        + ", ".join(f"{count:,} {kind}" for kind, count in result.cells.items()),
    )


@app.command("design")
def design(
    file: Annotated[Path, typer.Argument(help="Network file.", metavar="NETWORK", show_default=False)],
    folding: Annotated[Path, typer.Option(help="Folding to use.", metavar="FILE.yaml", show_default=False)],
    arithmetic: Annotated[
        str | None, typer.Option(help="planes (XNOR and popcount) or mac (multipliers). (default: as the folding says)")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where Yosys works.", metavar="DIR")] = Path("build/design-area"),
    workers: Annotated[int, typer.Option(help="Parts synthesized at once.", min=1)] = 2,
    as_json: Json = False,
) -> None:
    """Area of a whole accelerator by Yosys' synth_xilinx: part by part, and the sum."""
    from ..compiler.folds.folding import load_folding, with_arithmetic
    from ..compiler.storage.network_file import load_network
    from ..hdl.tools.design_area import synthesize_design

    network = load_network(file)
    chosen = load_folding(folding, network)
    if arithmetic is not None:
        chosen = with_arithmetic(chosen, arithmetic_kind(arithmetic))
    result = synthesize_design(network, chosen, out, workers=workers)
    if as_json:
        print_json(result)
        return
    print_table(
        ("part", "PE x SIMD", "LUT", "LUT as memory", "estimated LCs", "flip-flops", "DSP48", "RAMB36"),
        [
            (
                name,
                f"{fold.pe} x {fold.simd}" if (fold := chosen.layers.get(name)) else "",
                f"{area.luts:,}",
                f"{area.memory_luts:,}",
                f"{area.estimated_lcs:,}",
                f"{area.flip_flops:,}",
                f"{area.dsps:,}",
                f"{area.block_rams:g}",
            )
            for name, area in (*result.parts.items(), ("total", result.total))
        ],
    )
    print_lines(
        f"{result.total.all_luts:,} LUTs with those used as memory, {result.total.dsps:,} DSP48, "
        f"{result.total.block_rams:g} RAMB36, "
        f"one image every {result.cycles:,} cycles"
    )


@app.command("resources")
def resources(
    networks: Annotated[
        list[Path] | None,
        typer.Argument(help="Network files. (default: what the model was fitted to)", metavar="NETWORK..."),
    ] = None,
    board: Annotated[str, typer.Option(help="Known board, or a YAML file.", metavar="NAME|FILE.yaml")] = "ulx3s-85f",
    cycles: Annotated[
        list[int] | None, typer.Option(help="Fold each network for so many cycles an image; repeatable.", metavar="N")
    ] = None,
    folding: Annotated[Path | None, typer.Option(help="Or this folding.", metavar="FILE.yaml")] = None,
    pipeline: Annotated[int, typer.Option(help="Registers from weights to counts.", min=1, metavar="N")] = 1,
    out: Annotated[
        Path, typer.Option(help="Where Yosys works; what lies there is not synthesized again.", metavar="DIR")
    ] = Path("build/resources"),
    as_json: Json = False,
) -> None:
    """The model of LUTs, flip-flops, block RAMs and DSP blocks against the board's own synthesis.

    Of networks the whole designs, with what the board's top adds to them; without any, the small designs that the
    model was fitted to, part by part.
    """
    from ..boards.loader import load_board
    from ..compiler.folds.folding import load_folding
    from ..compiler.folds.solver import fold_for_cycles
    from ..compiler.storage.network_file import load_network
    from ..hdl.tools.resource_bench import compare_design, compare_fitted

    target, chosen = load_board(board), networks or []
    if bool(chosen) != bool(cycles or folding) or (cycles and folding):
        raise UsageError("give networks with --cycles or --folding, or neither")
    rows: list[tuple[str, str, Compared]] = []
    if not chosen:
        rows = [(row.design, row.part, row.compared) for row in compare_fitted(target, out / target.family)]
    for file in chosen:
        network = load_network(file)
        foldings = {f"{n:,} cycles": fold_for_cycles(network, n, target) for n in cycles or ()}
        if folding is not None:
            foldings[folding.name] = load_folding(folding, network)
        for name, folds in foldings.items():
            place = out / target.name / f"{file.stem}-{name.split(' ')[0].replace(',', '')}-{pipeline}"
            rows.append((file.stem, name, compare_design(network, folds, target, place, popcount_stages=pipeline)))
    if as_json:
        print_json({"board": target.name, "rows": [{"design": d, "of": of, "compared": row} for d, of, row in rows]})
        return
    kinds = ("luts", "flip_flops", "blocks", "dsps")
    print_table(
        ("design", "folding" if chosen else "part", "LUT", "FF", "block RAM", "DSP", "LUT error"),
        [
            (
                design,
                of,
                *(f"{getattr(row.estimated, kind):,} / {getattr(row.measured, kind):,}" for kind in kinds),
                f"{100 * row.lut_error:+.1f} %",
            )
            for design, of, row in rows
        ],
        left=2,
    )
    print_lines(f"estimated / synthesized for {target.name}")


@app.command("link")
def link(
    faults: Annotated[int, typer.Option(help="Stop after so many.", metavar="N", min=1)] = 100_000,
    seed: Annotated[int, typer.Option(help="Of the faults.", metavar="S")] = 0,
    as_json: Json = False,
) -> None:
    """Damaged transfers between host and board: wrong results and lost frames, in a model of the line."""
    from ..link.faults import count_faults

    result = count_faults(faults, seed=seed)
    if as_json:
        print_json(result)
    else:
        print_lines(
            f"{result.faults:,} faults in {result.frames:,} frames: {result.wrong:,} wrong results, {result.lost:,} "
            f"lost, {result.resent:,} packets sent again"
        )


@app.command("operator")
def operator(threads: Threads = 2, as_json: Json = False) -> None:
    """Products of -1/+1 on this CPU: the operators against torch's float32, bit for bit the same."""
    from ..gpu.operator_bench import bench_operator

    result = bench_operator(threads=threads)
    if as_json:
        print_json(result)
        return
    print_lines(f"{result.cpu}, {result.threads} threads, the least of {result.repeats} in milliseconds")
    print_table(
        ("shape", "float32", "layer", "popcount", "bytes", "layer x", "operator x", "6-bit gradient", "in float32"),
        [
            (
                " x ".join(map(str, times.shape)),
                *(f"{ms:.3f}" for ms in (times.float32, times.layer, times.popcount, times.bytes)),
                *(f"{ratio:.2f}" for ratio in (times.layer_ratio, times.operator_ratio)),
                *(f"{ms:.3f}" for ms in (times.gradient, times.gradient_float)),
            )
            for times in result.times
        ],
    )


@app.command("gpu")
def gpu(
    network: Annotated[
        list[Path] | None,
        typer.Option(help="Network file to time. (default: LFC's and CNV's layers, random weights)", metavar="FILE"),
    ] = None,
    sizes: Annotated[str, typer.Option(help="Sizes of square products.")] = "1024,2048,4096,8192,16384",
    batches: Annotated[str, typer.Option(help="Images of a batch of networks.")] = "1,16,128,1024,10000,16384",
    rounds: Annotated[int, typer.Option(help="Times that all take their turn.", min=1, metavar="N")] = 11,
    as_json: Json = False,
) -> None:
    """The CUDA kernel on this GPU against torch's bf16, fp16, int8 and float32 and plain kernels; whole networks."""
    from ..flow import figures
    from ..gpu.figures import BARS, network_rows, product_rows, verdicts

    result = figures.bench_gpu(network or (), sizes=numbers(sizes), batches=numbers(batches), rounds=rounds)
    reached = verdicts(result)
    if as_json:
        print_json({"bench": plain(result), "figures": reached, "bars": BARS})
        return
    print_lines(f"{result.device}, torch {result.torch}, CUDA {result.cuda}")
    rates = {"mma.sync": result.rates.mma, "wgmma": result.rates.wgmma}
    print_lines(*(f"{name}: {rate / 1e12:,.0f} T bits multiplied a second" for name, rate in rates.items() if rate))
    columns = ("product", "way", "ms", "T bits/s", "x bf16", "of the floor")
    print_table(columns, product_rows(result), left=2)
    print_lines("")
    print_table(("network", "batch", "way", "ms", "images/s", "ours x"), network_rows(result), left=3)
    print_lines("", *(f"{name}: {value:.2f} (bar {BARS[name]:g})" for name, value in reached.items()))


def numbers(text: str) -> tuple[int, ...]:
    """Positive whole numbers between commas; UsageError for anything else."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"positive whole numbers between commas are wanted, not {text!r}")
    return tuple(map(int, parts))
