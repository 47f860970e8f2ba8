// The series and the resets of layers as inputs of ops: their definitions, shapes and checks.

#ifndef STACKED_LSTM_OP_SERIES_H_
#define STACKED_LSTM_OP_SERIES_H_

#include <string>
#include <vector>

#include "lstm.h"
#include "op_inputs.h"
#include "op_shapes.h"
#include "op_status.h"

// Calls a macro with the name of each series, in the order of `Series`.
#define FOR_EACH_SERIES(USE) \
  USE(h_masks) USE(zoneout_c) USE(zoneout_h) USE(candidate_masks) USE(c_masks) USE(start_c) USE(start_h)

#define SERIES_INPUT(name) .Input(#name ": number_of_" #name " * T")
#define SERIES_ATTRIBUTE(name) .Attr("number_of_" #name ": int >= 0 = 0")
#define SERIES_GRADIENT(name) .Output("d_" #name ": number_of_" #name " * T")

// Each series has one tensor per layer, or none. The resets follow the series. Every list is empty by default, because
// graphs of earlier versions do not have it.
#define SERIES_INPUTS FOR_EACH_SERIES(SERIES_INPUT).Input("resets: number_of_resets * bool")
#define SERIES_ATTRIBUTES FOR_EACH_SERIES(SERIES_ATTRIBUTE).Attr("number_of_resets: int >= 0 = 0")
#define SERIES_GRADIENTS FOR_EACH_SERIES(SERIES_GRADIENT)

namespace stacked_lstm {

// The number of tensors of all series.
inline Status CountSeries(InferenceContext* c, int* count) {
  *count = 0;
  for (const SeriesKind& kind : kSeriesKinds) {
    int number;
    RETURN_IF_ERROR(c->GetAttr(std::string("number_of_") + kind.name, &number));
    *count += number;
  }
  return Status();
}

// Merges the sizes of a list of series. `*next_input` is its first input; afterwards, it is the input after the list.
inline Status MergeSeries(InferenceContext* c, const SeriesKind& kind, int* next_input, Sizes* sizes) {
  int number;
  const int layers = sizes->units.size();
  RETURN_IF_ERROR(c->GetAttr(std::string("number_of_") + kind.name, &number));
  if (number != 0 && number != layers) {
    return tensorflow::errors::InvalidArgument("StackedLstm: expected no `", kind.name, "` or ", layers,
                                               ", one per layer, got ", number);
  }
  for (int l = 0; l < number; ++l, ++*next_input) {
    DimensionHandle* const width = kind.is_of_c ? &sizes->units[l] : sizes->Outputs(l);
    if (!c->RankKnown(c->input(*next_input))) continue;
    if (c->Rank(c->input(*next_input)) == 2) {
      RETURN_IF_ERROR(MergeShape(c, *next_input, {&sizes->batch, width}));
    } else {
      RETURN_IF_ERROR(MergeShape(c, *next_input, {&sizes->steps, &sizes->batch, width}));
    }
  }
  return Status();
}

// Merges the sizes of all series and of the resets in the same way.
inline Status MergeAllSeries(InferenceContext* c, int* next_input, Sizes* sizes) {
  int resets;
  const int layers = sizes->units.size();
  for (const SeriesKind& kind : kSeriesKinds) RETURN_IF_ERROR(MergeSeries(c, kind, next_input, sizes));
  RETURN_IF_ERROR(c->GetAttr("number_of_resets", &resets));
  if (resets != 0 && resets != layers) {
    return tensorflow::errors::InvalidArgument("StackedLstm: expected no `resets` or ", layers,
                                               ", one per layer, got ", resets);
  }
  for (int l = 0; l < resets; ++l) RETURN_IF_ERROR(MergeShape(c, (*next_input)++, {&sizes->steps, &sizes->batch}));
  return Status();
}

// The series and the resets of the layers of an op.
struct SeriesInputs {
  Status Read(OpKernelContext* context, int layers) {
    for (int k = 0; k < kSeriesCount; ++k) {
      RETURN_IF_ERROR(series[k].Read(context, kSeriesKinds[k].name, layers, {0, 1}));
    }
    return resets.Read(context, "resets", layers, {0, 1});
  }

  // Checks the shapes of a layer's series and resets, and describes them in `layer`.
  Status Describe(int l, Layer* layer) const {
    for (int k = 0; k < kSeriesCount; ++k) RETURN_IF_ERROR(DescribeSeries(k, series[k][l], layer));
    return DescribeResets(resets[l], layer);
  }

  // Sets the data pointers of a layer's series.
  template <class T>
  void Data(int l, std::vector<const T*> (&data)[kSeriesCount]) const {
    for (int k = 0; k < kSeriesCount; ++k) data[k] = DataPointers<T>(series[k][l]);
  }

  LayerTensors series[kSeriesCount], resets;

 private:
  // [T, B, N], or [B, N] for all steps.
  static Status DescribeSeries(int kind, const TensorRange& tensors, Layer* layer) {
    if (tensors.number == 0) return Status();
    const char* const name = kSeriesKinds[kind].name;
    const int64_t width = layer->SeriesWidth(kind);
    layer->extras.series[kind].exists = true;
    if (tensors[0].dims() == 2) return ExpectShape(name, tensors[0], {layer->batch, width});
    layer->extras.series[kind].stride = layer->batch * width;
    return ExpectShape(name, tensors[0], {layer->steps, layer->batch, width});
  }

  // Resets need states to start from.
  static Status DescribeResets(const TensorRange& resets, Layer* layer) {
    for (int kind : {kStartC, kStartH}) {
      if (layer->extras.series[kind].exists == (resets.number > 0)) continue;
      return InvalidArgument("StackedLstm: expected `resets`, `start_c` and `start_h`, or none of them");
    }
    if (resets.number == 0) return Status();
    RETURN_IF_ERROR(ExpectShape("resets", resets[0], {layer->steps, layer->batch}));
    layer->extras.resets = resets[0].flat<bool>().data();
    return Status();
  }
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_OP_SERIES_H_
