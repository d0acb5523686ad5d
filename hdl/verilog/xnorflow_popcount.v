// How many bits of w agree with those of x. Two ways to write one thing: a simulation with $countones compiles and
// runs ten times as fast under Verilator, while the loop is plain Verilog-2001, which every synthesis tool reads.

`default_nettype none

module xnorflow_popcount #(
    parameter WIDTH = 8,
    parameter COUNT_WIDTH = 4
) (
    input  wire [      WIDTH-1:0] x,
    input  wire [      WIDTH-1:0] w,
    output wire [COUNT_WIDTH-1:0] count
);

    wire [WIDTH-1:0] agree = x ~^ w;

`ifdef VERILATOR
    assign count = COUNT_WIDTH'($countones(agree));
`else
    reg [COUNT_WIDTH-1:0] total;
    integer k;
    always @* begin
        total = 0;
        for (k = 0; k < WIDTH; k = k + 1) total = total + agree[k];
    end
    assign count = total;
`endif

endmodule

`default_nettype wire
