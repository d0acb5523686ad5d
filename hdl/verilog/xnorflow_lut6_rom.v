// A read-only memory of at most 32 words in explicit look-up tables: data holds the word that addr named at the last
// clock edge. A LUT6_2 holds two bits of every word; the ROMs that synthesis tools infer may take a LUT for each bit.
// TABLES: 64 bits a LUT, which are its INIT: bit k is bit 2 i of word k, bit 32 + k is bit 2 i + 1 of word k.

`default_nettype none

module xnorflow_lut6_rom #(
    parameter LUTS = 1,
    parameter [64*LUTS-1:0] TABLES = 0
) (
    input  wire              clk,
    input  wire [       4:0] addr,
    output reg  [2*LUTS-1:0] data
);

    wire [2*LUTS-1:0] word;

    genvar i;
    generate
        for (i = 0; i < LUTS; i = i + 1) begin : g_lut
            LUT6_2 #(.INIT(TABLES[64*i +: 64])) lut (
                .O5(word[2*i]), .O6(word[2*i+1]),
                .I0(addr[0]), .I1(addr[1]), .I2(addr[2]), .I3(addr[3]), .I4(addr[4]), .I5(1'b1)
            );
        end
    endgenerate

    always @(posedge clk) data <= word;

endmodule

`default_nettype wire
