// The packed weights of a layer in an op for the forward pass.

#ifndef STACKED_LSTM_OP_PACKED_H_
#define STACKED_LSTM_OP_PACKED_H_

#include <memory>

#include "buffer.h"
#include "lstm.h"
#include "op_cache.h"
#include "op_inputs.h"
#include "op_kernel.h"
#include "op_status.h"
#include "op_threads.h"

namespace stacked_lstm {

// The op StackedLstmPack has packed constant weights in constant folding. Other weights are packed here, if that saves
// time. So are constant weights that need padding, in graphs from before `padded` was an input.
template <class T>
class PackedWeightsInput {
 public:
  // Sets arrays->packed for layer `l`. What is packed here lives as long as this object.
  Status Read(OpKernelContext* context, int l, const Layer& layer, ForwardArrays<T>* arrays) {
    OpInputList full, padded;
    RETURN_IF_ERROR(context->input_list("packed", &full));
    RETURN_IF_ERROR(context->input_list("padded", &padded));
    if (padded.size() != 0 && padded.size() != full.size()) {
      return InvalidArgument("StackedLstm: expected no `padded` or ", full.size(), ", one per layer, got ",
                             padded.size());
    }
    const PackedSizes sizes = FindPackedSizes<T>(layer);
    // One of TensorFlow's two passes of constant folding may keep only one of the two results.
    const bool has_full = sizes.full == 0 || full[l].NumElements() > 0;
    const bool has_padded = sizes.padded == 0 || (padded.size() > 0 && padded[l].NumElements() > 0);
    arrays->packed = {};
    if (has_full && has_padded && sizes.Total() > 0) {
      arrays->packed.full = full[l].template flat<T>().data();
      RETURN_IF_ERROR(ExpectVectorLayout<T>("packed", full[l], sizes.full));
      if (padded.size() == 0) return Status();
      arrays->packed.padded = padded[l].template flat<T>().data();
      return ExpectVectorLayout<T>("padded", padded[l], sizes.padded);
    }
    if (PrefersUnpacked(layer)) return Status();
    memory_.reset(new Buffer<T>(sizes.Total()));
    Pack<T>(layer, arrays->weights, arrays->extras.projection, sizes.Split(memory_->get()), OpThreads(context));
    arrays->packed = sizes.Split<const T>(memory_->get());
    return Status();
  }

 private:
  std::unique_ptr<Buffer<T>> memory_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_OP_PACKED_H_
