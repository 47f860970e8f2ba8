// The packed weights of the layers in an op for the forward pass.

#ifndef STACKED_LSTM_OP_PACKED_H_
#define STACKED_LSTM_OP_PACKED_H_

#include "lstm.h"
#include "op_cache.h"
#include "op_inputs.h"
#include "op_kernel.h"
#include "op_status.h"
#include "op_threads.h"
#include "storage/buffer.h"

namespace stacked_lstm {

// The op StackedLstmPack has packed constant weights in constant folding. Other weights are packed here, if that saves
// time. So are constant weights that need padding, in graphs from before `padded` was an input.
template <class T>
class PackedInputs {
 public:
  Status Read(OpKernelContext* context, int layers) {
    RETURN_IF_ERROR(full_.Read(context, "packed", layers, {1}));
    return padded_.Read(context, "padded", layers, {0, 1});
  }

  // Sets arrays->packed for layer `l`. What is packed here lives as long as this object.
  Status SetPacked(OpKernelContext* context, int l, const Layer& layer, ForwardArrays<T>* arrays) {
    const TensorRange full = full_[l], padded = padded_[l];
    const PackedSizes sizes = FindPackedSizes<T>(layer);
    // One of TensorFlow's two passes of constant folding may keep only one of the two results.
    const bool has_full = sizes.full == 0 || full[0].NumElements() > 0;
    const bool has_padded = sizes.padded == 0 || (padded.number > 0 && padded[0].NumElements() > 0);
    arrays->packed = {};
    if (has_full && has_padded && sizes.Total() > 0) {
      arrays->packed.full = full[0].template flat<T>().data();
      RETURN_IF_ERROR(ExpectVectorLayout<T>("packed", full[0], sizes.full));
      if (padded.number == 0) return Status();
      arrays->packed.padded = padded[0].template flat<T>().data();
      return ExpectVectorLayout<T>("padded", padded[0], sizes.padded);
    }
    if (PrefersUnpacked(layer)) return Status();
    T* const memory = scratch_.Take(sizes.Total());
    Pack<T>(layer, arrays->weights, arrays->extras.projection, sizes.Split(memory), OpThreads(context));
    arrays->packed = sizes.Split<const T>(memory);
    return Status();
  }

 private:
  LayerTensors full_, padded_;
  Scratch<T> scratch_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_OP_PACKED_H_
