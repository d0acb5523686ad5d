// What Xilinx' LUT6, LUT6_2 and CARRY4 do, for simulation. A synthesis tool has its own and must not read this file;
// Yosys, which defines SYNTHESIS, would find it empty.
`ifndef SYNTHESIS

module LUT6 #(parameter [63:0] INIT = 64'd0) (
    output O,
    input I0, I1, I2, I3, I4, I5
);
  assign O = INIT[{I5, I4, I3, I2, I1, I0}];
endmodule

module LUT6_2 #(parameter [63:0] INIT = 64'd0) (
    output O6, O5,
    input I0, I1, I2, I3, I4, I5
);
  assign O6 = INIT[{I5, I4, I3, I2, I1, I0}];
  assign O5 = INIT[{1'b0, I4, I3, I2, I1, I0}];
endmodule

// CO[k] = S[k] ? carry in of bit k : DI[k], O[k] = S[k] ^ carry in of bit k: the carries of (S | g) + g, where g are the
// bits that generate one.
module CARRY4 (
    output [3:0] CO, O,
    input CI, CYINIT,
    input [3:0] DI, S
);
  wire [3:0] g = DI & ~S;
  wire [4:0] sum = {1'b0, S | g} + {1'b0, g} + {4'd0, CI | CYINIT};
  assign O = sum[3:0];
  assign CO = {sum[4], sum[3:1] ^ S[3:1]};
endmodule

`endif
