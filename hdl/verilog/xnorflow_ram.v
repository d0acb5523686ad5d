// A memory with a synchronous read port, contents from a file, and a write port of 32 bits onto any bytes of a word.
// data holds the word that addr named at the last clock edge. write_enable has a bit for each byte of the word, filled
// up to whole 32-bit parts; byte b of it takes byte b mod 4 of write_data. Parameters: as of xnorflow_rom.

`default_nettype none

module xnorflow_ram #(
    parameter WIDTH = 8,
    parameter DEPTH = 2,
    parameter ADDR_WIDTH = 1,
    parameter INIT_FILE = "",
    parameter STYLE = "auto",
    parameter PARTS = (WIDTH + 31) / 32
) (
    input  wire                  clk,
    input  wire [ADDR_WIDTH-1:0] addr,
    output wire [     WIDTH-1:0] data,
    input  wire [   4*PARTS-1:0] write_enable,
    input  wire [ADDR_WIDTH-1:0] write_addr,
    input  wire [          31:0] write_data
);

    localparam BYTES = (WIDTH + 7) / 8;
    reg [8*BYTES-1:0] word;
    integer b;
    assign data = word[WIDTH-1:0];

    // verilator lint_off WIDTHEXPAND
    generate
        if (STYLE == "block") begin : g_block
            (* ram_style = "block" *)
            reg [8*BYTES-1:0] memory [0:DEPTH-1];
            initial if (INIT_FILE != "") $readmemh(INIT_FILE, memory);
            always @(posedge clk) begin
                word <= memory[addr];
                for (b = 0; b < BYTES; b = b + 1)
                    if (write_enable[b]) memory[write_addr][8*b+:8] <= write_data[8*(b%4)+:8];
            end
        end else if (STYLE == "lut") begin : g_lut
            (* ram_style = "distributed" *)
            reg [8*BYTES-1:0] memory [0:DEPTH-1];
            initial if (INIT_FILE != "") $readmemh(INIT_FILE, memory);
            always @(posedge clk) begin
                word <= memory[addr];
                for (b = 0; b < BYTES; b = b + 1)
                    if (write_enable[b]) memory[write_addr][8*b+:8] <= write_data[8*(b%4)+:8];
            end
        end else begin : g_auto
            reg [8*BYTES-1:0] memory [0:DEPTH-1];
            initial if (INIT_FILE != "") $readmemh(INIT_FILE, memory);
            always @(posedge clk) begin
                word <= memory[addr];
                for (b = 0; b < BYTES; b = b + 1)
                    if (write_enable[b]) memory[write_addr][8*b+:8] <= write_data[8*(b%4)+:8];
            end
        end
    endgenerate
    // verilator lint_on WIDTHEXPAND

endmodule

`default_nettype wire
