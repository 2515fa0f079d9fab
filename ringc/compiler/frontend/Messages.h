#pragma once

namespace ringc::frontend {

// Everything that the front end can say. %0, %1, %2 are replaced by the arguments of the report.
// Each has an example under tests/unit/frontend/errors; a test fails when one has none.
#define RINGC_MESSAGES(X)                                                                          \
  /* characters and tokens */                                                                      \
  X(SourceTooLong, "the file has %0 bytes; at most %1 are allowed")                                \
  X(NulByte, "a NUL byte is not text")                                                             \
  X(InvalidUtf8, "this is not valid UTF-8")                                                        \
  X(UnexpectedCharacter, "unexpected character '%0'")                                              \
  X(MalformedNumber, "malformed number '%0': write an integer as 12 and a float as 1.5 or 1e-3")   \
  X(IntegerTooLarge, "the integer %0 does not fit in 32 bits; write a float as %0.0")              \
  X(FloatTooLarge, "the number %0 does not fit in f32; write inf for infinity")                    \
  X(TooManyErrors, "too many errors; stopped here")                                                \
  /* syntax */                                                                                     \
  X(Expected, "expected %0, found %1")                                                             \
  X(ExpectedDeclaration,                                                                           \
    "expected a declaration (mask, score, derivative, function or kernel), found %0")              \
  X(ReservedWord, "'%0' is a reserved word and cannot be a name")                                  \
  X(TooDeep, "this is nested deeper than %0 levels")                                               \
  X(ChainedComparison, "comparisons do not chain; write a < b and b < c")                          \
  X(ExpectedTransposeT, "'^' only writes a transposed tile, as x^T")                               \
  X(SubscriptOfExpression, "only a named view can be indexed")                                     \
  X(CallOfExpression, "only a named function can be called")                                       \
  X(StatementInFunction, "a %0 holds lets and one return, nothing else")                           \
  X(ReturnInKernel, "a kernel returns nothing; store to a view instead")                           \
  X(ReturnMustBeLast, "return is the last statement")                                              \
  X(MissingReturn, "%0 '%1' does not return a value")                                              \
  X(MissingReturnType, "function '%0' needs a return type: -> f32, -> i32 or -> bool")             \
  X(UnknownType, "unknown type '%0'; a parameter is index, i32, f32, bool, view<...>[...], "       \
                 "sums[...], positions[...] or carry")                                             \
  X(TooManyGridAxes, "a kernel runs over one or two axes")                                         \
  X(ExtentNotPositive, "an extent is at least 1")                                                  \
  /* declarations */                                                                               \
  X(Redefinition, "'%0' is already declared at line %1")                                           \
  X(NameOfTheLanguage, "'%0' is a name of the language and cannot be declared")                    \
  X(PositionParameters, "a %0 begins with the parameters %1; parameter %2 differs")                \
  X(FunctionParameterType, "a %0 takes index, i32, f32, bool%1; not %2")                           \
  X(DerivativeWithoutScore, "there is no score '%0' in this file to be the derivative of")         \
  X(DerivativeParameters, "the derivative of '%0' must have exactly the parameters of the score")  \
  X(Recursion, "'%0' calls itself; the language has no recursion")                                 \
  X(CallsTooDeep, "'%0' calls through more than %1 functions")                                     \
  X(TooLargeInlined, "'%0' grows beyond %1 operations when its calls are written out")             \
  X(UnknownElement, "unknown element type '%0'; elements are f32, f16, bf16, i32 and bool%1")      \
  X(UnknownElementInKernel, "unknown element type '%0'; elements are f32, f16, bf16, i32, bool "   \
                            "and this kernel's constants of kind type%1")                          \
  X(TypeDefault, "a constant of kind type is f32, f16 or bf16, not '%0'")                          \
  X(ViewRankInKernel, "a kernel's view has one to four axes")                                      \
  X(SumsShape, "sums have two axes, and the length of the second is known when the kernel is "     \
               "compiled")                                                                         \
  X(ViewRankInFunction, "a view has one to four axes")                                             \
  X(AxisOfHeads, "'%0' is implicit in a kernel; write the axes of one batch and head only")        \
  X(AxisOfPrograms, "an axis %0 is for kernels that run for each batch and KV head: those with a " \
                    "view or positions over Nq or Nk")                                             \
  X(AxisOfPositions, "%0 can only be the first axis of a window")                                  \
  X(ExtentIsNotInteger,                                                                            \
    "'%0' is not an integer; extents are integers, integer constants and free "                    \
    "names")                                                                                       \
  X(PositionsExtent, "positions are of queries or of keys: positions[Nq] or positions[Nk]")        \
  X(UnknownPredicate, "unknown mask '%0'%1")                                                       \
  X(UnknownFunctionDefault, "unknown score '%0'%1")                                                \
  X(StepNotStatic, "'%0' is not known when the kernel is compiled; a step is an integer or an "    \
                   "integer constant of the kernel")                                               \
  X(GridExtentUnknown, "no view or positions parameter has the extent '%0'%1")                     \
  /* names */                                                                                      \
  X(UnknownName, "unknown name '%0'%1")                                                            \
  X(NameOutOfScope, "'%0' is not known here; the one of line %1 lives in a block that has ended")  \
  X(UnknownFunction, "unknown function '%0'%1")                                                    \
  X(NotAValue, "'%0' is %1 and has no value of its own")                                           \
  X(NotAView, "'%0' is not a view; only views are indexed")                                        \
  /* types */                                                                                      \
  X(OperandType, "'%0' does not take %1")                                                          \
  X(OperandTypes, "'%0' does not take %1 and %2")                                                  \
  X(IntegerAndFloat, "'%0' has an i32 and an f32; convert one with f32(x) or i32(x)")              \
  X(ArithmeticOnNarrowTile, "'%0' works on f32 tiles, this one is %1; write cast<f32>(x)")         \
  X(ShapesDiffer, "shapes do not agree: [%0] and [%1]")                                            \
  X(ConditionNotBool, "a condition is a bool, not %0")                                             \
  X(ConditionalOnTile, "? : chooses between scalars; for tiles write where(c, a, b)")              \
  X(BranchesDiffer, "the two branches have different types: %0 and %1")                            \
  X(ArgumentCount, "'%0' takes %1, not %2")                                                        \
  X(ArgumentType, "argument %0 of '%1' must be %2, not %3")                                        \
  X(NeedsElement, "'%0' needs an element type, as in %0<f32>%1")                                   \
  X(TakesNoElement, "'%0' takes no element type or shape")                                         \
  X(NeedsShape, "'%0' needs a shape of two extents, as in %0<f32>[BQ, D]")                         \
  X(FloatElement, "'%0' makes tiles of f32, f16 or bf16, not of %1")                               \
  X(NumberElement, "'%0' makes tiles of f32, f16, bf16 or i32, not of %1")                         \
  X(IotaElement, "'%0' counts in i32, not in %1; write f32(iota<i32>[...]) for floats")            \
  X(IotaShape, "iota is a column or a row, [R, 1] or [1, C], not [%0]")                            \
  X(DotElements, "dot contracts two tiles of one float type, not %0 and %1")                       \
  X(DotShapes, "dot contracts the columns of [%0] with the rows of [%1]; they differ")             \
  X(KernelOnly, "'%0' works on tiles and belongs in a kernel")                                     \
  X(ReturnType, "'%0' returns %1, not %2")                                                         \
  /* views */                                                                                      \
  X(AxisCount, "'%0' has %1, not %2")                                                              \
  X(WindowInFunction, "a %0 reads single elements of a view, not windows")                         \
  X(IndexInKernel, "a kernel writes windows: offset : size, or : for a whole axis")                \
  X(WindowAxes, "a window has one or two axes, this one %0; index the others with an i32")         \
  X(ElementInKernel, "a kernel reads single elements of i32, f32 and bool; '%0' is of %1")         \
  X(RowsOfTile, "the rows of a window, its first axis, are named by a column of i32, as in "       \
                "x[ids[r : BM], :], not by %0")                                                    \
  X(IndexOfSums, "sums are read and written in windows alone")                                     \
  X(ElementIsWritten, "this kernel stores to '%0', whose elements it reads at line %1")            \
  X(IndexType, "an index is an i32, not %0")                                                       \
  X(IndexOfQueries, "an axis of extent Nq is indexed by i alone: such data stays with its query")  \
  X(IndexOfKeys, "an axis of extent Nk is indexed by j alone: such data travels with its key")     \
  X(WholeAxisDynamic, "a whole axis must have a static extent; %0 is known only at launch")        \
  X(WindowSizeNotStatic,                                                                           \
    "the size of a window or a tile is an integer or an integer constant, not '%0'")               \
  X(WindowStep, "'%0' advances by %1, but this window has the size %2")                            \
  X(WindowExtent, "'%0' runs over %1, but this axis has the extent %2")                            \
  X(FillType, "a window of %0 is not filled with %1")                                              \
  X(FillOnStore, "a store takes no fill: what lies outside the view is not written")               \
  /* statements */                                                                                 \
  X(AssignToLet, "'%0' is a let and keeps its value; declare it with var")                         \
  X(AssignToParameter, "'%0' is %1 and cannot be assigned")                                        \
  X(AssignChangesType, "'%0' is %1 and cannot become %2")                                          \
  X(ScalarInMaskedLoop, "'%0' is a scalar; a loop with a mask changes tiles only")                 \
  X(StoreType, "this window takes %0, not %1")                                                     \
  X(AddingStoreElement, "only views of f32 are added to; '%0' is of %1")                           \
  X(ReadOfPositions, "positions are read by windows, as in %0[rows : BQ], without else")           \
  X(LoopBound, "the bounds of a loop are i32, not %0")                                             \
  X(LoopPredicate, "the condition of a loop is one mask, as in if seen = mask(qpos[rows : BQ], "   \
                   "kpos[cols : BKV])")                                                            \
  X(LoopPredicateVariable, "the mask of this loop does not depend on '%0'")                        \
  X(PositionArgument,                                                                              \
    "argument %0 of '%1' must be a window of positions[%2], as in mask(qpos[rows : "               \
    "BQ], kpos[cols : BKV])")                                                                      \
  X(PositionShift, "what is added to positions is an i32 that does not depend on the loop's '%0'") \
  X(PositionShiftType, "what is added to positions is an i32, not %0")                             \
  X(PositionWindowOffset, "a window of positions begins at a variable of the grid or of a loop")   \
  X(MaskArguments, "argument %0 of '%1' must be %2: it reads views at its own position")           \
  X(ViewArgument, "argument %0 of '%1' must name a view parameter of type %2")                     \
  X(NotADerivative, "derivative takes a score, not '%0'")                                          \
  X(UnknownCarry, "'%0' is not a carry parameter of this kernel")                                  \
  X(ResumePlace, "resume stands at the top level of a kernel, outside loops")                      \
  X(ResumeTwice, "'%0' is already resumed at line %1")                                             \
  X(ResumeCount, "resume declares %0 and gives %1")                                                \
  X(ResumeType, "a running state holds f32 tiles, not %0")                                         \
  X(FinishPlace, "finish stands at the top level of a kernel, outside loops")                      \
  X(FinishWithoutResume, "'%0' is finished but never resumed")                                     \
  X(FinishTwice, "'%0' is already finished at line %1")                                            \
  X(ResumeWithoutFinish, "'%0' is resumed but never finished")                                     \
  X(FinishCount, "'%0' holds %1, but finish gives %2")                                             \
  X(FinishType, "value %0 of '%1' is %2, not %3")                                                  \
  X(FinishBody, "finish holds lets and stores, nothing else")

enum class Message {
#define RINGC_MESSAGE_ENUM(name, text) name,
  RINGC_MESSAGES(RINGC_MESSAGE_ENUM)
#undef RINGC_MESSAGE_ENUM
};

} // namespace ringc::frontend
