// A read-only memory with a synchronous read port: data holds the word that addr named at the last clock edge.
// INIT_FILE: hexadecimal words, one a line, found by $readmemh relative to the folder the tool runs in.
// STYLE: "block" or "lut" asks the synthesis tool for that kind of memory, "auto" leaves the choice to it.

`default_nettype none

module xnorflow_rom #(
    parameter WIDTH = 8,
    parameter DEPTH = 2,
    parameter ADDR_WIDTH = 1,
    parameter INIT_FILE = "",
    parameter STYLE = "auto"
) (
    input  wire                  clk,
    input  wire [ADDR_WIDTH-1:0] addr,
    output reg  [     WIDTH-1:0] data
);

    // An attribute takes no parameter in Verilog-2001, hence three branches.
    // verilator lint_off WIDTHEXPAND
    generate
        if (STYLE == "block") begin : g_block
            (* rom_style = "block", ram_style = "block" *)
            reg [WIDTH-1:0] memory [0:DEPTH-1];
            initial if (INIT_FILE != "") $readmemh(INIT_FILE, memory);
            always @(posedge clk) data <= memory[addr];
        end else if (STYLE == "lut") begin : g_lut
`ifdef YOSYS  // whose distributed memories are RAM without contents
            (* rom_style = "logic" *)
`else
            (* rom_style = "distributed", ram_style = "distributed" *)
`endif
            reg [WIDTH-1:0] memory [0:DEPTH-1];
            initial if (INIT_FILE != "") $readmemh(INIT_FILE, memory);
            always @(posedge clk) data <= memory[addr];
        end else begin : g_auto
            reg [WIDTH-1:0] memory [0:DEPTH-1];
            initial if (INIT_FILE != "") $readmemh(INIT_FILE, memory);
            always @(posedge clk) data <= memory[addr];
        end
    endgenerate
    // verilator lint_on WIDTHEXPAND

endmodule

`default_nettype wire
