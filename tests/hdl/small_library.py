"""A library of six cells whose numbers are easy to reckon with."""

from pathlib import Path

__all__ = ["write_library"]

_ENERGY = """
    internal_power() {{
      related_pin : "{pin}";
      rise_power(by_load) {{ index_1 ("0.0, 1.0"); index_2 ("0.1, 0.2"); values ("{a}, {a}", "{b}, {b}"); }}
      fall_power(by_load) {{ index_1 ("0.0, 1.0"); index_2 ("0.1, 0.2"); values ("{a}, {a}", "{b}, {b}"); }}
    }}"""

_DELAY = """
    timing() {{ related_pin : "{pin}"; timing_sense : non_unate;
      cell_rise(scalar) {{ values ("1.0"); }} rise_transition(scalar) {{ values ("0.1"); }}
      cell_fall(scalar) {{ values ("1.0"); }} fall_transition(scalar) {{ values ("0.1"); }}
    }}"""


def _gate(name: str, area: int, outputs: dict[str, str], inputs: str, energy: tuple[float, float]) -> str:
    power = _ENERGY.format(pin=inputs[0], a=energy[0], b=energy[1])
    timing = "".join(_DELAY.format(pin=pin) for pin in inputs)
    pins = [f"  pin({pin}) {{ direction : input; capacitance : 0.5; }}" for pin in inputs]
    pins += [
        f'  pin({pin}) {{ direction : output; capacitance : 0; function : "{function}";{power}{timing} }}'
        for pin, function in outputs.items()
    ]
    return f"cell ({name}) {{\n  area : {area};\n" + "\n".join(pins) + "\n}\n"


def write_library(folder: Path) -> Path:
    """small.lib: INV, BUF, NAND, XOR2, FA and DFF at 2 V, and a latch and a flip-flop with reset that are left out."""
    cells = [
        _gate("INV", 1, {"Y": "A'"}, "A", (0.25, 0.75)),
        _gate("BUF", 3, {"Y": "A"}, "A", (0.5, 0.5)),
        _gate("NAND", 2, {"Y": "!(A B)"}, "AB", (0.5, 0.5)),
        _gate("XOR2", 4, {"Y": "A ^ B"}, "AB", (0.5, 0.5)),
        _gate("FA", 9, {"CO": "(A*B)+(B*C)+(C*A)", "S": "A^B^C"}, "ABC", (1.0, 1.0)),
    ]
    clock = "pin(CK) { direction : input; capacitance : 0.25; clock : true; internal_power() { rise_power(scalar) "
    clock += '{ values ("0.125"); } fall_power(scalar) { values ("0.375"); } } }'
    data = "pin(D) { direction : input; capacitance : 0.5; }"
    q = 'pin(Q) { direction : output; function : "IQ"; }'
    for name, extra in (("DFF", ""), ("DFFR", 'clear : "R";')):
        cells.append(
            f'cell ({name}) {{ area : 8; ff (IQ, IQN) {{ next_state : "D"; clocked_on : "CK"; {extra} }}\n'
            f"{clock} {data} {q} {'pin(R) { direction : input; capacitance : 0.5; }' if extra else ''} }}\n"
        )
    cells.append(
        f'cell (LATCH) {{ area : 5; latch (IQ, IQN) {{ data_in : "D"; enable : "CK"; }} {clock} {data} {q} }}\n'
    )
    head = (
        "/* a comment with { braces } */\nlibrary(small) {\n  capacitive_load_unit (1,pf);\n  nom_voltage : 2.0;\n"
        "  power_lut_template(by_load) { variable_1 : total_output_net_capacitance;\n"
        '    variable_2 : input_transition_time; index_1 ("0, 1"); index_2 ("0, 1"); }\n'
    )
    path = folder / "small.lib"
    path.write_text(head + "".join(cells) + "}\n")
    return path
