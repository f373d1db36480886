// The numbers of the GGUF format and of ggml's tensor types: names, and how many bytes a block of how many values takes.
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

/** Type ids of metadata values. */
export const valueTypes = {
  uint8: 0,
  int8: 1,
  uint16: 2,
  int16: 3,
  uint32: 4,
  int32: 5,
  float32: 6,
  bool: 7,
  string: 8,
  array: 9,
  uint64: 10,
  int64: 11,
  float64: 12,
} as const;

export interface TensorLayout {
  id: number;
  /** Values that are stored together; a row must hold whole blocks. */
  blockValues: number;
  blockBytes: number;
}

/** Every tensor type that ggml still writes. Q4_K, for one: 256 values in 2 + 2 + 12 + 128 = 144 bytes. */
export const tensorLayouts = {
  F32: { id: 0, blockValues: 1, blockBytes: 4 },
  F16: { id: 1, blockValues: 1, blockBytes: 2 },
  Q4_0: { id: 2, blockValues: 32, blockBytes: 18 },
  Q4_1: { id: 3, blockValues: 32, blockBytes: 20 },
  Q5_0: { id: 6, blockValues: 32, blockBytes: 22 },
  Q5_1: { id: 7, blockValues: 32, blockBytes: 24 },
  Q8_0: { id: 8, blockValues: 32, blockBytes: 34 },
  Q8_1: { id: 9, blockValues: 32, blockBytes: 36 },
  Q2_K: { id: 10, blockValues: 256, blockBytes: 84 },
  Q3_K: { id: 11, blockValues: 256, blockBytes: 110 },
  Q4_K: { id: 12, blockValues: 256, blockBytes: 144 },
  Q5_K: { id: 13, blockValues: 256, blockBytes: 176 },
  Q6_K: { id: 14, blockValues: 256, blockBytes: 210 },
  Q8_K: { id: 15, blockValues: 256, blockBytes: 292 },
  IQ2_XXS: { id: 16, blockValues: 256, blockBytes: 66 },
  IQ2_XS: { id: 17, blockValues: 256, blockBytes: 74 },
  IQ3_XXS: { id: 18, blockValues: 256, blockBytes: 98 },
  IQ1_S: { id: 19, blockValues: 256, blockBytes: 50 },
  IQ4_NL: { id: 20, blockValues: 32, blockBytes: 18 },
  IQ3_S: { id: 21, blockValues: 256, blockBytes: 110 },
  IQ2_S: { id: 22, blockValues: 256, blockBytes: 82 },
  IQ4_XS: { id: 23, blockValues: 256, blockBytes: 136 },
  I8: { id: 24, blockValues: 1, blockBytes: 1 },
  I16: { id: 25, blockValues: 1, blockBytes: 2 },
  I32: { id: 26, blockValues: 1, blockBytes: 4 },
  I64: { id: 27, blockValues: 1, blockBytes: 8 },
  F64: { id: 28, blockValues: 1, blockBytes: 8 },
  IQ1_M: { id: 29, blockValues: 256, blockBytes: 56 },
  BF16: { id: 30, blockValues: 1, blockBytes: 2 },
  TQ1_0: { id: 34, blockValues: 256, blockBytes: 54 },
  TQ2_0: { id: 35, blockValues: 256, blockBytes: 66 },
  MXFP4: { id: 39, blockValues: 32, blockBytes: 17 },
} as const satisfies Record<string, TensorLayout>;

export type TensorType = keyof typeof tensorLayouts;

export const tensorTypeById: ReadonlyMap<number, TensorType> = new Map(
  Object.entries(tensorLayouts).map(([name, { id }]) => [id, name as TensorType]),
);

/** What `general.file_type` calls the mix of tensor types in a file. */
export const fileTypeById: ReadonlyMap<number, string> = new Map([
  [0, "F32"],
  [1, "F16"],
  [2, "Q4_0"],
  [3, "Q4_1"],
  [7, "Q8_0"],
  [8, "Q5_0"],
  [9, "Q5_1"],
  [10, "Q2_K"],
  [11, "Q3_K_S"],
  [12, "Q3_K_M"],
  [13, "Q3_K_L"],
  [14, "Q4_K_S"],
  [15, "Q4_K_M"],
  [16, "Q5_K_S"],
  [17, "Q5_K_M"],
  [18, "Q6_K"],
  [19, "IQ2_XXS"],
  [20, "IQ2_XS"],
  [21, "Q2_K_S"],
  [22, "IQ3_XS"],
  [23, "IQ3_XXS"],
  [24, "IQ1_S"],
  [25, "IQ4_NL"],
  [26, "IQ3_S"],
  [27, "IQ3_M"],
  [28, "IQ2_S"],
  [29, "IQ2_M"],
  [30, "IQ4_XS"],
  [31, "IQ1_M"],
  [32, "BF16"],
  [36, "TQ1_0"],
  [37, "TQ2_0"],
  [38, "MXFP4_MOE"],
]);
