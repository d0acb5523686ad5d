// What cells of Lattice's ECP5 do that Yosys has as black boxes, in the modes in which Yosys uses them: models for the
// simulation of netlists alone, never for synthesis. A mode that is not modelled stops the simulation.

`default_nettype none

// 16 Kbit and 2 Kbit of parity as 1024 words of 18 bits, two ports. A port of 1, 2 or 4 bits addresses bits of a word's
// bytes without their ninth, one of 9 or 18 bits bytes or words (ADx0 and ADx1 then enable bytes), one of 36 bits two
// words at once: port A writes DIB:DIA (ADA0 to ADA3 enable bytes), port B reads DOB:DOA; a narrower read in that mode
// comes out at DOB, as everything of port B does. Reset clears the output register and, with it, stops a write.
module DP16KD (
    input  wire CLKA, CEA, OCEA, WEA, RSTA, CSA2, CSA1, CSA0,
    input  wire CLKB, CEB, OCEB, WEB, RSTB, CSB2, CSB1, CSB0,
    input  wire
        ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input  wire
        ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input  wire
        DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1,
        DIA0,
    input  wire
        DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1,
        DIB0,
    output wire
        DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1,
        DOA0,
    output wire
        DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1,
        DOB0
);
  parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18;
  parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG";
  parameter RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC";
  parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000";
  parameter CLKAMUX = "CLKA", CLKBMUX = "CLKB";
  parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL";
  parameter GSR = "ENABLED";
  parameter [319:0]
      INITVAL_00 = 0, INITVAL_01 = 0, INITVAL_02 = 0, INITVAL_03 = 0, INITVAL_04 = 0, INITVAL_05 = 0, INITVAL_06 = 0,
      INITVAL_07 = 0, INITVAL_08 = 0, INITVAL_09 = 0, INITVAL_0A = 0, INITVAL_0B = 0, INITVAL_0C = 0, INITVAL_0D = 0,
      INITVAL_0E = 0, INITVAL_0F = 0, INITVAL_10 = 0, INITVAL_11 = 0, INITVAL_12 = 0, INITVAL_13 = 0, INITVAL_14 = 0,
      INITVAL_15 = 0, INITVAL_16 = 0, INITVAL_17 = 0, INITVAL_18 = 0, INITVAL_19 = 0, INITVAL_1A = 0, INITVAL_1B = 0,
      INITVAL_1C = 0, INITVAL_1D = 0, INITVAL_1E = 0, INITVAL_1F = 0, INITVAL_20 = 0, INITVAL_21 = 0, INITVAL_22 = 0,
      INITVAL_23 = 0, INITVAL_24 = 0, INITVAL_25 = 0, INITVAL_26 = 0, INITVAL_27 = 0, INITVAL_28 = 0, INITVAL_29 = 0,
      INITVAL_2A = 0, INITVAL_2B = 0, INITVAL_2C = 0, INITVAL_2D = 0, INITVAL_2E = 0, INITVAL_2F = 0, INITVAL_30 = 0,
      INITVAL_31 = 0, INITVAL_32 = 0, INITVAL_33 = 0, INITVAL_34 = 0, INITVAL_35 = 0, INITVAL_36 = 0, INITVAL_37 = 0,
      INITVAL_38 = 0, INITVAL_39 = 0, INITVAL_3A = 0, INITVAL_3B = 0, INITVAL_3C = 0, INITVAL_3D = 0, INITVAL_3E = 0,
      INITVAL_3F = 0;

  // Words of the parameters: 16 of 20 bits each, of which 18 count.
  localparam [20479:0] CONTENTS = {
      INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38, INITVAL_37,
      INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30, INITVAL_2F, INITVAL_2E,
      INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27, INITVAL_26, INITVAL_25,
      INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C,
      INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13,
      INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A,
      INITVAL_09, INITVAL_08, INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01,
      INITVAL_00};
  reg [17:0] memory [0:1023];
  integer k;
  initial begin
    for (k = 0; k < 1024; k = k + 1) memory[k] = CONTENTS[20*k+:18];
  end

  always @*
    if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG" || CLKAMUX != "CLKA" || CLKBMUX != "CLKB" ||
        CSDECODE_A != "0b000" || CSDECODE_B != "0b000" || {CSA2, CSA1, CSA0, CSB2, CSB1, CSB0} != 0 ||
        DATA_WIDTH_B == 36 && WEB || RESETMODE != "SYNC" && (RSTA || RSTB))
      $fatal(1, "DP16KD: a mode that the model does not have");

  // Where a port's data stands in a word, and which of its bits are written.
  function automatic [17:0] spread(input integer width, input [13:0] address, input [17:0] data);
    case (width)
      1: spread = {17'd0, data[0]} << (9 * address[3] + address[2:0]);
      2: spread = {16'd0, data[1:0]} << (9 * address[3] + (address[2:0] & 3'd6));
      4: spread = {14'd0, data[3:0]} << (9 * address[3] + (address[2:0] & 3'd4));
      9: spread = {9'd0, data[8:0]} << (9 * address[3]);
      default: spread = data;
    endcase
  endfunction

  function automatic [17:0] enabled(input integer width, input [13:0] address);
    enabled = width >= 18 ? {{9{address[1]}}, {9{address[0]}}} : spread(width, address, 18'h3FFFF);
  endfunction

  function automatic [17:0] picked(input integer width, input [13:0] address, input [17:0] word);
    case (width)
      1: picked = {17'd0, word[9 * address[3] + address[2:0]]};
      2: picked = {16'd0, word[9 * address[3] + (address[2:0] & 3'd6)+:2]};
      4: picked = {14'd0, word[9 * address[3] + (address[2:0] & 3'd4)+:4]};
      9: picked = {9'd0, word[9 * address[3]+:9]};
      default: picked = word;
    endcase
  endfunction

  wire [13:0] ad_a = {
      ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
  wire [17:0] di_a = {
      DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1,
      DIA0};
  wire [13:0] ad_b = {
      ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
  wire [17:0] di_b = {
      DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1,
      DIB0};
  wire wide_write = DATA_WIDTH_A == 36, wide_read = DATA_WIDTH_B == 36;
  wire write_a = CEA && WEA && !RSTA, write_b = CEB && WEB && !RSTB && !wide_write && !wide_read;
  wire [17:0] mask_a = enabled(DATA_WIDTH_A, ad_a), mask_b = enabled(DATA_WIDTH_B, ad_b);
  wire [17:0] data_a = spread(DATA_WIDTH_A, ad_a, di_a), data_b = spread(DATA_WIDTH_B, ad_b, di_b);
  wire [9:0] word_a = wide_write ? {ad_a[13:5], 1'b0} : ad_a[13:4];
  wire [9:0] word_b = wide_read ? {ad_b[13:5], 1'b0} : ad_b[13:4];
  wire [17:0] old_a = memory[word_a], old_b = memory[word_b];
  wire [17:0] high_mask = {{9{ad_a[3]}}, {9{ad_a[2]}}};

  reg [17:0] out_a = 0, out_b = 0;
  always @(posedge CLKA) begin
    if (write_a) memory[word_a] <= old_a & ~mask_a | data_a & mask_a;
    if (write_a && wide_write)
      memory[word_a | 10'd1] <= memory[word_a | 10'd1] & ~high_mask | di_b & high_mask;
    if (RSTA) out_a <= 0;
    else if (CEA && !wide_write) begin
      if (!WEA || WRITEMODE_A == "READBEFOREWRITE") out_a <= picked(DATA_WIDTH_A, ad_a, old_a);
      else if (WRITEMODE_A == "WRITETHROUGH")
        out_a <= picked(DATA_WIDTH_A, ad_a, old_a & ~mask_a | data_a & mask_a);
    end
  end

  reg [17:0] low_b = 0;
  always @(posedge CLKB) begin
    if (write_b) memory[word_b] <= old_b & ~mask_b | data_b & mask_b;
    if (RSTB) begin
      out_b <= 0;
      low_b <= 0;
    end else if (CEB) begin
      if (wide_read) begin
        low_b <= old_b;
        out_b <= memory[word_b | 10'd1];
      end else if (!WEB || WRITEMODE_B == "READBEFOREWRITE") out_b <= picked(DATA_WIDTH_B, ad_b, old_b);
      else if (WRITEMODE_B == "WRITETHROUGH")
        out_b <= picked(DATA_WIDTH_B, ad_b, old_b & ~mask_b | data_b & mask_b);
    end
  end

  assign {
      DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1,
      DOA0} = wide_read ? low_b : out_a;
  assign {
      DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1,
      DOB0} = out_b;
endmodule

// The product of two numbers of 18 bits, each signed or not, without any of the registers: all that Yosys asks for.
module MULT18X18D (
    input  wire
        A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input  wire
        B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input  wire
        C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
    input  wire SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    output wire
        P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15, P14,
        P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
  wire signed [18:0] a = {SIGNEDA && A17,
      A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0};
  wire signed [18:0] b = {SIGNEDB && B17,
      B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0};
  wire signed [37:0] product = a * b;
  assign {
      P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15, P14,
      P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} = product[35:0];
  always @* if (SOURCEA || SOURCEB) $fatal(1, "MULT18X18D: a mode that the model does not have");
endmodule

`default_nettype wire
