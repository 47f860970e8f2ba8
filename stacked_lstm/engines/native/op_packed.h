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

namespace stacked_lstm {

// The op StackedLstmPack has packed constant weights in constant folding. Other weights are packed here, if that saves
// time.
template <class T>
class PackedWeightsInput {
 public:
  // Sets arrays->packed. It lives as long as this object.
  Status Read(OpKernelContext* context, const Tensor& input, const Layer& layer, ForwardArrays<T>* arrays) {
    arrays->packed = nullptr;
    if (input.NumElements() > 0) {
      arrays->packed = input.flat<T>().data();
      return ExpectVectorLayout<T>("packed", input, PackedSize<T>(layer));
    }
    if (PrefersUnpacked(layer)) return Status();
    memory_.reset(new Buffer<T>(PackedSize<T>(layer)));
    Pack<T>(layer, arrays->weights, arrays->extras.projection, memory_->get(), SessionThreads(context));
    arrays->packed = memory_->get();
    return Status();
  }

 private:
  std::unique_ptr<Buffer<T>> memory_;
};

}  // namespace stacked_lstm

#endif  // STACKED_LSTM_OP_PACKED_H_
