// `Networks`: the networks of one stream of a GPU, each with the algorithm that is fastest there.
//
// cuDNN has four algorithms for an LSTM and no function that chooses. The persistent ones keep the weights in registers
// for all steps. On an H100, the one for few units is 6 to 18 times as fast as the standard one in training, at 32 to
// 128 units; which of the others is fastest depends on the batch. So each one runs on the first batch of a size. The
// float32 results of the persistent ones differ from the standard ones by up to 1.5e-5 of the largest.

#ifndef STACKED_LSTM_CUDNN_CHOICE_H_
#define STACKED_LSTM_CUDNN_CHOICE_H_

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "network.h"

namespace stacked_lstm {
namespace cudnn {

// Names that stand for several algorithms.
constexpr const char* kAccurate = "accurate";  // Those whose results agree with other devices to the dtype's precision.
constexpr const char* kFastest = "fastest";    // All.

// Memory on the GPU for trials. It is freed with the object.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual void* Allocate(size_t bytes) = 0;  // Throws `OutOfMemory` if there is not enough.
};

class Networks {
 public:
  // The networks of a stream. They live as long as the process.
  static Networks& Of(const Api& api, Stream stream);

  // Held during a call of the functions below, and of a network.
  std::mutex& mutex() { return mutex_; }
  Handle handle() const { return handle_; }
  // After cuDNN has refused a call, a handle may compute nonsense, and must be closed.
  void OpenHandle();
  void CloseHandle();

  // Returns the network of these sizes. The first call for them chooses the algorithm, unless one is named: it runs
  // both passes with each one, on the tensors of the call, whose outputs it overwrites.
  //
  // steps, tensors: of the call; the workspace and the reserve space are not used.
  // make_memory: returns new memory for one algorithm. If there is not enough for any of them, the first one is kept.
  // Throws `Error` if cuDNN supports none.
  const Network& Choose(const Sizes& sizes, const std::string& algorithm, const Device& device, int steps,
                        const Tensors& tensors, const std::function<std::unique_ptr<Memory>()>& make_memory);

  // Returns the network that an earlier `Choose` returned; throws `Error` if there was none.
  const Network& Find(const Sizes& sizes, const std::string& algorithm) const;

 private:
  using Key = std::pair<Sizes, std::string>;

  Networks(const Api& api, Stream stream);
  double MeasureSeconds(const Network& network, const Sizes& sizes, const Device& device, int steps, Tensors tensors,
                        Memory* memory) const;

  const Api& api_;
  const Stream stream_;
  std::mutex mutex_;
  Handle handle_ = nullptr;
  std::map<Key, std::unique_ptr<Network>> networks_;
};

// A line per choice of this process: the sizes, and the milliseconds of each algorithm, the fastest first.
std::string DescribeChoices();

}  // namespace cudnn
}  // namespace stacked_lstm

#endif  // STACKED_LSTM_CUDNN_CHOICE_H_
