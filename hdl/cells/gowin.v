// What cells of Gowin's GW1N and GW2A do that Yosys has as black boxes, in the modes in which Yosys uses them: models for
// the simulation of netlists alone, never for synthesis. A mode that is not modelled stops the simulation.

`default_nettype none

// 2048 bytes of UNIT (8, or 9 with parity) bits with a port that reads and writes and one that reads: of cells whose
// ports can both write Yosys uses no more, since no memory of ours is written in two places. An address counts bits in
// eights: ports of less than a byte use all of it, those of one byte its upper 11 bits, of two 10, of four 9; a write of
// two or four bytes takes its byte enables from the low bits of its address. MODE_A: what the port reads where it writes:
// 0 nothing, 1 the new contents, 2 the old ones. Reset clears the output alone.
module xnorflow_gowin_ram #(
    parameter UNIT = 8, WIDTH_A = 8, WIDTH_B = 8, MODE_A = 0,
    parameter [64*32*UNIT-1:0] CONTENTS = 0
) (
    input  wire clk_a, ce_a, we_a, reset_a, clk_b, ce_b, reset_b,
    input  wire [13:0] ad_a, ad_b,
    input  wire [4*UNIT-1:0] di_a,
    output reg  [4*UNIT-1:0] do_a, do_b
);
  reg [UNIT-1:0] memory [0:2047];
  integer k;
  initial begin
    for (k = 0; k < 2048; k = k + 1) memory[k] = CONTENTS[UNIT*k+:UNIT];
    do_a = 0;
    do_b = 0;
  end

  // The byte in which a port's word begins, and which bits of the four from there on it writes.
  function automatic [10:0] first(input integer width, input [13:0] address);
    first = width <= UNIT ? address[13:3] : width == 2 * UNIT ? {address[13:4], 1'b0} : {address[13:5], 2'b00};
  endfunction

  function automatic [4*UNIT-1:0] mask(input integer width, input [13:0] address);
    if (width < UNIT) mask = ((1 << width) - 1) << address[2:0];
    else if (width == UNIT) mask = {UNIT{1'b1}};
    else if (width == 2 * UNIT) mask = {{UNIT{address[1]}}, {UNIT{address[0]}}};
    else mask = {{UNIT{address[3]}}, {UNIT{address[2]}}, {UNIT{address[1]}}, {UNIT{address[0]}}};
  endfunction

  wire [10:0] first_a = first(WIDTH_A, ad_a);
  wire [4*UNIT-1:0] mask_a = mask(WIDTH_A, ad_a);
  wire [4*UNIT-1:0] old_a =
      {memory[first_a + 11'd3], memory[first_a + 11'd2], memory[first_a + 11'd1], memory[first_a]};
  wire [4*UNIT-1:0] new_a = old_a & ~mask_a | (WIDTH_A < UNIT ? di_a << ad_a[2:0] : di_a) & mask_a;
  wire [4*UNIT-1:0] seen_a = we_a && MODE_A == 1 ? new_a : old_a;
  always @(posedge clk_a) begin
    if (ce_a && we_a) begin
      memory[first_a] <= new_a[0+:UNIT];
      if (WIDTH_A >= 2 * UNIT) memory[first_a + 11'd1] <= new_a[UNIT+:UNIT];
      if (WIDTH_A == 4 * UNIT) begin
        memory[first_a + 11'd2] <= new_a[2*UNIT+:UNIT];
        memory[first_a + 11'd3] <= new_a[3*UNIT+:UNIT];
      end
    end
    if (reset_a) do_a <= 0;
    else if (ce_a && (!we_a || MODE_A != 0))
      do_a <= WIDTH_A < UNIT ? (seen_a >> ad_a[2:0]) & ((1 << WIDTH_A) - 1) : seen_a;
  end

  wire [10:0] first_b = first(WIDTH_B, ad_b);
  wire [4*UNIT-1:0] old_b =
      {memory[first_b + 11'd3], memory[first_b + 11'd2], memory[first_b + 11'd1], memory[first_b]};
  always @(posedge clk_b)
    if (reset_b) do_b <= 0;
    else if (ce_b) do_b <= WIDTH_B < UNIT ? (old_b >> ad_b[2:0]) & ((1 << WIDTH_B) - 1) : old_b;
endmodule

// One port; 8-bit bytes.
module SP (
    output wire [31:0] DO,
    input  wire [31:0] DI,
    input  wire [ 2:0] BLKSEL,
    input  wire [13:0] AD,
    input  wire        WRE, CLK, CE, OCE, RESET
);
  parameter READ_MODE = 1'b0, WRITE_MODE = 2'b00, BIT_WIDTH = 32, BLK_SEL = 3'b000, RESET_MODE = "SYNC";
  parameter [255:0]
      INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0, INIT_RAM_04 = 0, INIT_RAM_05 = 0,
      INIT_RAM_06 = 0, INIT_RAM_07 = 0, INIT_RAM_08 = 0, INIT_RAM_09 = 0, INIT_RAM_0A = 0, INIT_RAM_0B = 0,
      INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0, INIT_RAM_0F = 0, INIT_RAM_10 = 0, INIT_RAM_11 = 0,
      INIT_RAM_12 = 0, INIT_RAM_13 = 0, INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0,
      INIT_RAM_18 = 0, INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0, INIT_RAM_1C = 0, INIT_RAM_1D = 0,
      INIT_RAM_1E = 0, INIT_RAM_1F = 0, INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0, INIT_RAM_23 = 0,
      INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0, INIT_RAM_28 = 0, INIT_RAM_29 = 0,
      INIT_RAM_2A = 0, INIT_RAM_2B = 0, INIT_RAM_2C = 0, INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0,
      INIT_RAM_30 = 0, INIT_RAM_31 = 0, INIT_RAM_32 = 0, INIT_RAM_33 = 0, INIT_RAM_34 = 0, INIT_RAM_35 = 0,
      INIT_RAM_36 = 0, INIT_RAM_37 = 0, INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
      INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0;
  xnorflow_gowin_ram #(.UNIT(8), .WIDTH_A(BIT_WIDTH), .MODE_A(WRITE_MODE), .CONTENTS({
      INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39, INIT_RAM_38,
      INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30,
      INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28,
      INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20,
      INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18,
      INIT_RAM_17, INIT_RAM_16, INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10,
      INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
      INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00}))
  ram (
      .clk_a(CLK), .ce_a(CE), .we_a(WRE), .reset_a(RESET), .ad_a(AD), .di_a(DI), .do_a(DO),
      .clk_b(1'b0), .ce_b(1'b0), .reset_b(1'b0), .ad_b(14'd0), .do_b()
  );
  always @*
    if (READ_MODE != 0 || BLK_SEL != 0 || BLKSEL != 0 || RESET_MODE != "SYNC" && RESET)
      $fatal(1, "SP: a mode that the model does not have");
endmodule

// One port; 9-bit bytes.
module SPX9 (
    output wire [35:0] DO,
    input  wire [35:0] DI,
    input  wire [ 2:0] BLKSEL,
    input  wire [13:0] AD,
    input  wire        WRE, CLK, CE, OCE, RESET
);
  parameter READ_MODE = 1'b0, WRITE_MODE = 2'b00, BIT_WIDTH = 36, BLK_SEL = 3'b000, RESET_MODE = "SYNC";
  parameter [287:0]
      INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0, INIT_RAM_04 = 0, INIT_RAM_05 = 0,
      INIT_RAM_06 = 0, INIT_RAM_07 = 0, INIT_RAM_08 = 0, INIT_RAM_09 = 0, INIT_RAM_0A = 0, INIT_RAM_0B = 0,
      INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0, INIT_RAM_0F = 0, INIT_RAM_10 = 0, INIT_RAM_11 = 0,
      INIT_RAM_12 = 0, INIT_RAM_13 = 0, INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0,
      INIT_RAM_18 = 0, INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0, INIT_RAM_1C = 0, INIT_RAM_1D = 0,
      INIT_RAM_1E = 0, INIT_RAM_1F = 0, INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0, INIT_RAM_23 = 0,
      INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0, INIT_RAM_28 = 0, INIT_RAM_29 = 0,
      INIT_RAM_2A = 0, INIT_RAM_2B = 0, INIT_RAM_2C = 0, INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0,
      INIT_RAM_30 = 0, INIT_RAM_31 = 0, INIT_RAM_32 = 0, INIT_RAM_33 = 0, INIT_RAM_34 = 0, INIT_RAM_35 = 0,
      INIT_RAM_36 = 0, INIT_RAM_37 = 0, INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
      INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0;
  xnorflow_gowin_ram #(.UNIT(9), .WIDTH_A(BIT_WIDTH), .MODE_A(WRITE_MODE), .CONTENTS({
      INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39, INIT_RAM_38,
      INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30,
      INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28,
      INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20,
      INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18,
      INIT_RAM_17, INIT_RAM_16, INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10,
      INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
      INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00}))
  ram (
      .clk_a(CLK), .ce_a(CE), .we_a(WRE), .reset_a(RESET), .ad_a(AD), .di_a(DI), .do_a(DO),
      .clk_b(1'b0), .ce_b(1'b0), .reset_b(1'b0), .ad_b(14'd0), .do_b()
  );
  always @*
    if (READ_MODE != 0 || BLK_SEL != 0 || BLKSEL != 0 || RESET_MODE != "SYNC" && RESET)
      $fatal(1, "SPX9: a mode that the model does not have");
endmodule

// A port that writes and one that reads; 8-bit bytes.
module SDPB (
    output wire [31:0] DO,
    input  wire [31:0] DI,
    input  wire [ 2:0] BLKSELA, BLKSELB,
    input  wire [13:0] ADA, ADB,
    input  wire        CLKA, CLKB, CEA, CEB, OCE, RESETA, RESETB
);
  parameter READ_MODE = 1'b0, BIT_WIDTH_0 = 32, BIT_WIDTH_1 = 32, BLK_SEL_0 = 3'b000, BLK_SEL_1 = 3'b000;
  parameter RESET_MODE = "SYNC";
  parameter [255:0]
      INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0, INIT_RAM_04 = 0, INIT_RAM_05 = 0,
      INIT_RAM_06 = 0, INIT_RAM_07 = 0, INIT_RAM_08 = 0, INIT_RAM_09 = 0, INIT_RAM_0A = 0, INIT_RAM_0B = 0,
      INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0, INIT_RAM_0F = 0, INIT_RAM_10 = 0, INIT_RAM_11 = 0,
      INIT_RAM_12 = 0, INIT_RAM_13 = 0, INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0,
      INIT_RAM_18 = 0, INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0, INIT_RAM_1C = 0, INIT_RAM_1D = 0,
      INIT_RAM_1E = 0, INIT_RAM_1F = 0, INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0, INIT_RAM_23 = 0,
      INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0, INIT_RAM_28 = 0, INIT_RAM_29 = 0,
      INIT_RAM_2A = 0, INIT_RAM_2B = 0, INIT_RAM_2C = 0, INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0,
      INIT_RAM_30 = 0, INIT_RAM_31 = 0, INIT_RAM_32 = 0, INIT_RAM_33 = 0, INIT_RAM_34 = 0, INIT_RAM_35 = 0,
      INIT_RAM_36 = 0, INIT_RAM_37 = 0, INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
      INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0;
  xnorflow_gowin_ram #(.UNIT(8), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .CONTENTS({
      INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39, INIT_RAM_38,
      INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30,
      INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28,
      INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20,
      INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18,
      INIT_RAM_17, INIT_RAM_16, INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10,
      INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
      INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00}))
  ram (
      .clk_a(CLKA), .ce_a(CEA), .we_a(1'b1), .reset_a(RESETA), .ad_a(ADA), .di_a(DI), .do_a(),
      .clk_b(CLKB), .ce_b(CEB), .reset_b(RESETB), .ad_b(ADB), .do_b(DO)
  );
  always @*
    if (READ_MODE != 0 || BLK_SEL_0 != 0 || BLK_SEL_1 != 0 || BLKSELA != 0 || BLKSELB != 0 ||
        RESET_MODE != "SYNC" && RESETB) $fatal(1, "SDPB: a mode that the model does not have");
endmodule

// A port that writes and one that reads; 9-bit bytes.
module SDPX9B (
    output wire [35:0] DO,
    input  wire [35:0] DI,
    input  wire [ 2:0] BLKSELA, BLKSELB,
    input  wire [13:0] ADA, ADB,
    input  wire        CLKA, CLKB, CEA, CEB, OCE, RESETA, RESETB
);
  parameter READ_MODE = 1'b0, BIT_WIDTH_0 = 36, BIT_WIDTH_1 = 36, BLK_SEL_0 = 3'b000, BLK_SEL_1 = 3'b000;
  parameter RESET_MODE = "SYNC";
  parameter [287:0]
      INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0, INIT_RAM_04 = 0, INIT_RAM_05 = 0,
      INIT_RAM_06 = 0, INIT_RAM_07 = 0, INIT_RAM_08 = 0, INIT_RAM_09 = 0, INIT_RAM_0A = 0, INIT_RAM_0B = 0,
      INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0, INIT_RAM_0F = 0, INIT_RAM_10 = 0, INIT_RAM_11 = 0,
      INIT_RAM_12 = 0, INIT_RAM_13 = 0, INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0,
      INIT_RAM_18 = 0, INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0, INIT_RAM_1C = 0, INIT_RAM_1D = 0,
      INIT_RAM_1E = 0, INIT_RAM_1F = 0, INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0, INIT_RAM_23 = 0,
      INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0, INIT_RAM_28 = 0, INIT_RAM_29 = 0,
      INIT_RAM_2A = 0, INIT_RAM_2B = 0, INIT_RAM_2C = 0, INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0,
      INIT_RAM_30 = 0, INIT_RAM_31 = 0, INIT_RAM_32 = 0, INIT_RAM_33 = 0, INIT_RAM_34 = 0, INIT_RAM_35 = 0,
      INIT_RAM_36 = 0, INIT_RAM_37 = 0, INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
      INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0;
  xnorflow_gowin_ram #(.UNIT(9), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .CONTENTS({
      INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39, INIT_RAM_38,
      INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30,
      INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28,
      INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20,
      INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18,
      INIT_RAM_17, INIT_RAM_16, INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10,
      INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
      INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00}))
  ram (
      .clk_a(CLKA), .ce_a(CEA), .we_a(1'b1), .reset_a(RESETA), .ad_a(ADA), .di_a(DI), .do_a(),
      .clk_b(CLKB), .ce_b(CEB), .reset_b(RESETB), .ad_b(ADB), .do_b(DO)
  );
  always @*
    if (READ_MODE != 0 || BLK_SEL_0 != 0 || BLK_SEL_1 != 0 || BLKSELA != 0 || BLKSELB != 0 ||
        RESET_MODE != "SYNC" && RESETB) $fatal(1, "SDPX9B: a mode that the model does not have");
endmodule

// Two ports; 8-bit bytes.
module DPB (
    output wire [15:0] DOA, DOB,
    input  wire [15:0] DIA, DIB,
    input  wire [ 2:0] BLKSELA, BLKSELB,
    input  wire [13:0] ADA, ADB,
    input  wire        CLKA, CLKB, CEA, CEB, OCEA, OCEB, RESETA, RESETB, WREA, WREB
);
  parameter READ_MODE0 = 1'b0, READ_MODE1 = 1'b0, WRITE_MODE0 = 2'b00, WRITE_MODE1 = 2'b00;
  parameter BIT_WIDTH_0 = 16, BIT_WIDTH_1 = 16, BLK_SEL_0 = 3'b000, BLK_SEL_1 = 3'b000, RESET_MODE = "SYNC";
  parameter [255:0]
      INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0, INIT_RAM_04 = 0, INIT_RAM_05 = 0,
      INIT_RAM_06 = 0, INIT_RAM_07 = 0, INIT_RAM_08 = 0, INIT_RAM_09 = 0, INIT_RAM_0A = 0, INIT_RAM_0B = 0,
      INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0, INIT_RAM_0F = 0, INIT_RAM_10 = 0, INIT_RAM_11 = 0,
      INIT_RAM_12 = 0, INIT_RAM_13 = 0, INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0,
      INIT_RAM_18 = 0, INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0, INIT_RAM_1C = 0, INIT_RAM_1D = 0,
      INIT_RAM_1E = 0, INIT_RAM_1F = 0, INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0, INIT_RAM_23 = 0,
      INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0, INIT_RAM_28 = 0, INIT_RAM_29 = 0,
      INIT_RAM_2A = 0, INIT_RAM_2B = 0, INIT_RAM_2C = 0, INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0,
      INIT_RAM_30 = 0, INIT_RAM_31 = 0, INIT_RAM_32 = 0, INIT_RAM_33 = 0, INIT_RAM_34 = 0, INIT_RAM_35 = 0,
      INIT_RAM_36 = 0, INIT_RAM_37 = 0, INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
      INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0;
  wire [31:0] do_a, do_b;
  assign DOA = do_a[15:0], DOB = do_b[15:0];
  xnorflow_gowin_ram #(.UNIT(8), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .MODE_A(WRITE_MODE0), .CONTENTS({
      INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39, INIT_RAM_38,
      INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30,
      INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28,
      INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20,
      INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18,
      INIT_RAM_17, INIT_RAM_16, INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10,
      INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
      INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00}))
  ram (
      .clk_a(CLKA), .ce_a(CEA), .we_a(WREA), .reset_a(RESETA), .ad_a(ADA), .di_a({16'd0, DIA}), .do_a(do_a),
      .clk_b(CLKB), .ce_b(CEB), .reset_b(RESETB), .ad_b(ADB), .do_b(do_b)
  );
  always @*
    if (READ_MODE0 != 0 || READ_MODE1 != 0 || BLK_SEL_0 != 0 || BLK_SEL_1 != 0 || BLKSELA != 0 || BLKSELB != 0 ||
        WREB != 0 || RESET_MODE != "SYNC" && (RESETA || RESETB)) $fatal(1, "DPB: a mode that the model does not have");
endmodule

// Two ports; 9-bit bytes.
module DPX9B (
    output wire [17:0] DOA, DOB,
    input  wire [17:0] DIA, DIB,
    input  wire [ 2:0] BLKSELA, BLKSELB,
    input  wire [13:0] ADA, ADB,
    input  wire        CLKA, CLKB, CEA, CEB, OCEA, OCEB, RESETA, RESETB, WREA, WREB
);
  parameter READ_MODE0 = 1'b0, READ_MODE1 = 1'b0, WRITE_MODE0 = 2'b00, WRITE_MODE1 = 2'b00;
  parameter BIT_WIDTH_0 = 18, BIT_WIDTH_1 = 18, BLK_SEL_0 = 3'b000, BLK_SEL_1 = 3'b000, RESET_MODE = "SYNC";
  parameter [287:0]
      INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0, INIT_RAM_04 = 0, INIT_RAM_05 = 0,
      INIT_RAM_06 = 0, INIT_RAM_07 = 0, INIT_RAM_08 = 0, INIT_RAM_09 = 0, INIT_RAM_0A = 0, INIT_RAM_0B = 0,
      INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0, INIT_RAM_0F = 0, INIT_RAM_10 = 0, INIT_RAM_11 = 0,
      INIT_RAM_12 = 0, INIT_RAM_13 = 0, INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0,
      INIT_RAM_18 = 0, INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0, INIT_RAM_1C = 0, INIT_RAM_1D = 0,
      INIT_RAM_1E = 0, INIT_RAM_1F = 0, INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0, INIT_RAM_23 = 0,
      INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0, INIT_RAM_28 = 0, INIT_RAM_29 = 0,
      INIT_RAM_2A = 0, INIT_RAM_2B = 0, INIT_RAM_2C = 0, INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0,
      INIT_RAM_30 = 0, INIT_RAM_31 = 0, INIT_RAM_32 = 0, INIT_RAM_33 = 0, INIT_RAM_34 = 0, INIT_RAM_35 = 0,
      INIT_RAM_36 = 0, INIT_RAM_37 = 0, INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
      INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0;
  wire [35:0] do_a, do_b;
  assign DOA = do_a[17:0], DOB = do_b[17:0];
  xnorflow_gowin_ram #(.UNIT(9), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .MODE_A(WRITE_MODE0), .CONTENTS({
      INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39, INIT_RAM_38,
      INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30,
      INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28,
      INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20,
      INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18,
      INIT_RAM_17, INIT_RAM_16, INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10,
      INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
      INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00}))
  ram (
      .clk_a(CLKA), .ce_a(CEA), .we_a(WREA), .reset_a(RESETA), .ad_a(ADA), .di_a({18'd0, DIA}), .do_a(do_a),
      .clk_b(CLKB), .ce_b(CEB), .reset_b(RESETB), .ad_b(ADB), .do_b(do_b)
  );
  always @*
    if (READ_MODE0 != 0 || READ_MODE1 != 0 || BLK_SEL_0 != 0 || BLK_SEL_1 != 0 || BLKSELA != 0 || BLKSELB != 0 ||
        WREB != 0 || RESET_MODE != "SYNC" && (RESETA || RESETB)) $fatal(1, "DPX9B: a mode that the model does not have");
endmodule

// The product of two numbers of 9 bits, each signed or not, without any of the registers: all that Yosys asks for.
module MULT9X9 (
    input  wire [ 8:0] A, B,
    input  wire [ 8:0] SIA, SIB,
    input  wire        ASEL, BSEL,
    input  wire        ASIGN, BSIGN, CE, CLK, RESET,
    output wire [17:0] DOUT
);
  parameter AREG = 1'b0, BREG = 1'b0, OUT_REG = 1'b0, PIPE_REG = 1'b0;
  wire signed [9:0] a = {ASIGN && A[8], A}, b = {BSIGN && B[8], B};
  wire signed [19:0] product = a * b;
  assign DOUT = product[17:0];
  initial if (AREG || BREG || OUT_REG || PIPE_REG) $fatal(1, "MULT9X9: a mode that the model does not have");
  always @* if (ASEL || BSEL) $fatal(1, "MULT9X9: a mode that the model does not have");
endmodule

// The product of two numbers of 18 bits, each signed or not, without any of the registers: all that Yosys asks for.
module MULT18X18 (
    input  wire [17:0] A, B,
    input  wire [17:0] SIA, SIB,
    input  wire        ASEL, BSEL,
    input  wire        ASIGN, BSIGN, CE, CLK, RESET,
    output wire [35:0] DOUT
);
  parameter AREG = 1'b0, BREG = 1'b0, OUT_REG = 1'b0, PIPE_REG = 1'b0;
  wire signed [18:0] a = {ASIGN && A[17], A}, b = {BSIGN && B[17], B};
  wire signed [37:0] product = a * b;
  assign DOUT = product[35:0];
  initial if (AREG || BREG || OUT_REG || PIPE_REG) $fatal(1, "MULT18X18: a mode that the model does not have");
  always @* if (ASEL || BSEL) $fatal(1, "MULT18X18: a mode that the model does not have");
endmodule

// The product of two numbers of 36 bits, each signed or not, without any of the registers: all that Yosys asks for.
module MULT36X36 (
    input  wire [35:0] A, B,
    input  wire        ASIGN, BSIGN, CE, CLK, RESET,
    output wire [71:0] DOUT
);
  parameter AREG = 1'b0, BREG = 1'b0, OUT_REG = 1'b0, PIPE_REG = 1'b0;
  wire signed [36:0] a = {ASIGN && A[35], A}, b = {BSIGN && B[35], B};
  wire signed [73:0] product = a * b;
  assign DOUT = product[71:0];
  initial if (AREG || BREG || OUT_REG || PIPE_REG) $fatal(1, "MULT36X36: a mode that the model does not have");
endmodule

`default_nettype wire
