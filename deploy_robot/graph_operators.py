"""The operators that a policy's graph may use, of the ONNX standard's default domain.

Arithmetic whose work is fixed by the shapes of its tensors. Left out are loops (Loop, Scan, SequenceMap), which need
not end; random numbers, with which no golden trace could be reproduced; decoders of images and text, which no signal
of a robot carries; and the losses of training.
"""

_NAMES = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor
Cast CastLike Ceil Celu Clip Cos Cosh CumProd CumSum Det Div Einsum Elu Equal Erf Exp Floor Gelu Gemm Greater
GreaterOrEqual HardSigmoid HardSwish Hardmax IsInf IsNaN LeakyRelu Less LessOrEqual Log LogSoftmax MatMul Max Mean Min
Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign
Sqrt Sub Sum SwiGLU Swish Tan Tanh ThresholdedRelu Where Xor

ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare

AveragePool BatchNormalization CausalConvWithState Conv ConvTranspose GlobalAveragePool GlobalLpPool GlobalMaxPool
GroupNormalization InstanceNormalization LRN LayerNormalization LpNormalization LpPool MaxPool
MeanVarianceNormalization RMSNormalization

Attention GRU LSTM LinearAttention RNN RotaryEmbedding

Compress Concat Constant ConstantOfShape DepthToSpace Dropout Expand EyeLike Flatten Gather GatherElements GatherND
GridSample Identity If NonZero OneHot Pad Range Reshape Resize ReverseSequence Scatter ScatterElements ScatterND Shape
Size Slice SpaceToDepth Split Squeeze TensorScatter Tile TopK Transpose Trilu Unique Unsqueeze Upsample

ConcatFromSequence SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength
SplitToSequence

ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul QuantizeLinear
"""
PERMITTED = frozenset(_NAMES.encode().split())
