"""Node names: identifiers that are legal in Verilog, in file names and as parts of longer identifiers."""

import re
from collections.abc import Collection

__all__ = ["MAX_LENGTH", "identifier", "name_problem"]

MAX_LENGTH = 48

PATTERN = re.compile(r"[a-z](?:_?[a-z0-9])*")

# IEEE 1364-2005 and 1800-2017: whichever language a tool takes a .v file for, no name may be reserved in it.
KEYWORDS = """
    accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before begin bind
    bins binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class clocking cmos config
    const constraint context continue cover covergroup coverpoint cross deassign default defparam design disable dist
    do edge else end endcase endchecker endclass endclocking endconfig endfunction endgenerate endgroup endinterface
    endmodule endpackage endprimitive endprogram endproperty endsequence endspecify endtable endtask enum event
    eventually expect export extends extern final first_match for force foreach forever fork forkjoin function
    generate genvar global highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies import incdir
    include initial inout input inside instance int integer interconnect interface intersect join join_any join_none
    large let liblist library local localparam logic longint macromodule matches medium modport module nand negedge
    nettype new nexttime nmos nor noshowcancelled not notif0 notif1 null or output package packed parameter pmos
    posedge primitive priority program property protected pull0 pull1 pulldown pullup pulsestyle_ondetect
    pulsestyle_onevent pure rand randc randcase randsequence rcmos real realtime ref reg reject_on release repeat
    restrict return rnmos rpmos rtran rtranif0 rtranif1 s_always s_eventually s_nexttime s_until s_until_with
    scalared sequence shortint shortreal showcancelled signed small soft solve specify specparam static string strong
    strong0 strong1 struct super supply0 supply1 sync_accept_on sync_reject_on table tagged task this throughout time
    timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1 triand trior trireg type typedef union unique unique0
    unsigned until until_with untyped use uwire var vectored virtual void wait wait_order wand weak weak0 weak1 while
    wildcard wire with within wor xnor xor
"""
RESERVED = frozenset(KEYWORDS.split())

STREAM_SUFFIXES = ("_valid", "_ready", "_payload")  # the accelerator's taps are named <node>_valid and so on


def name_problem(name: str) -> str | None:
    """What is wrong with a node name, or None."""
    if not PATTERN.fullmatch(name):
        return f"name {name!r} is not lower-case letters, digits and single underscores, beginning with a letter"
    if len(name) > MAX_LENGTH:
        return f"name {name!r} is longer than {MAX_LENGTH} characters"
    if name in RESERVED:
        return f"name {name!r} is a keyword of Verilog"
    if name.endswith(STREAM_SUFFIXES):
        return f"name {name!r} ends like a stream's signal ({', '.join(STREAM_SUFFIXES)})"
    return None


def identifier(text: str, prefix: str, taken: Collection[str]) -> str:
    """A legal name like `text` (a module's qualified path) that is not among `taken`.

    `prefix` goes in front where the text alone would be no name: it begins with a digit ("0" of a Sequential), is
    reserved or empty.
    """
    words = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[: MAX_LENGTH - 8].strip("_")
    if name_problem(words) is None:
        base = words
    elif words[:1].isdigit():
        base = f"{prefix}{words}"
    else:
        base = f"{prefix}_{words}".strip("_")
    if base.endswith(STREAM_SUFFIXES):
        base += "_node"
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name
