/** What a model file tells by itself. The engine contract's ModelInfo adds what only the server knows. */
export interface ModelFacts {
  file: string;
  fileBytes: number;
  architecture: string;
  quantisation: string;
  parameters: number;
  layers: number;
  vocabularyTokens: number;
  /** What the model was made for; an engine's own limit is EngineStatus.contextTokens. */
  trainedContextTokens: number;
  /** The Jinja template in the file, if any. */
  chatTemplate?: string;
  bosTokenId?: number;
  eosTokenIds: readonly number[];
}
