#include "choice.h"

#include <algorithm>
#include <chrono>
#include <sstream>
#include <utility>
#include <vector>

namespace stacked_lstm {
namespace cudnn {
namespace {

constexpr Algorithm kAlgorithms[] = {
    {"standard", kStandard, kSequenceMajorPacked},
    {"persistent_few_units", kPersistStaticSmallH, kSequenceMajorUnpacked},
    {"persistent_dynamic", kPersistDynamic, kSequenceMajorUnpacked},
    {"persistent_static", kPersistStatic, kSequenceMajorUnpacked},
};
// The backward pass of more units is refused only when it runs, and then the handle computes nonsense.
constexpr int kFewUnits = 128;
constexpr int kRuns = 3;  // Of each algorithm; the first one prepares.

// The persistent algorithms are not tested with both directions in one call. The engine makes two calls for them.
bool Suits(const Algorithm& algorithm, const Sizes& sizes) {
  if (algorithm.number == kStandard) return true;
  if (sizes.type == kDouble || sizes.outputs != sizes.units || sizes.directions == 2) return false;
  return algorithm.number != kPersistStaticSmallH || sizes.units <= kFewUnits;
}

bool IsAccurate(const Algorithm& algorithm, const Sizes& sizes) {
  return algorithm.number == kStandard || sizes.type == kHalf || sizes.has_tf32;
}

bool IsNamed(const Algorithm& algorithm, const std::string& name, const Sizes& sizes) {
  return name == algorithm.name || name == kFastest || (name == kAccurate && IsAccurate(algorithm, sizes));
}

std::vector<Algorithm> FindAlgorithms(const std::string& name, const Sizes& sizes) {
  std::vector<Algorithm> result;
  for (const Algorithm& algorithm : kAlgorithms) {
    if (IsNamed(algorithm, name, sizes) && Suits(algorithm, sizes)) result.push_back(algorithm);
  }
  if (result.empty()) throw Error("the algorithm " + name + " does not support these layers; use standard");
  return result;
}

size_t CountBytes(const Sizes& sizes, int64_t numbers) {
  return static_cast<size_t>(numbers) * (sizes.type == kDouble ? 8 : sizes.type == kFloat ? 4 : 2);
}

std::mutex& ChoicesMutex() {
  static std::mutex* const mutex = new std::mutex;
  return *mutex;
}

std::string& Choices() {
  static std::string* const text = new std::string;
  return *text;
}

struct Trial {
  std::unique_ptr<Network> network;
  double seconds;
};

void Record(const Sizes& sizes, int steps, const std::vector<Trial>& trials) {
  const char* types[] = {"float32", "float64", "float16"};
  std::ostringstream line;
  line << types[sizes.type] << " " << steps << "," << sizes.batch << "," << sizes.inputs << "," << sizes.units << ","
       << sizes.layers << ":";
  for (const Trial& trial : trials) {
    line << " " << trial.network->algorithm().name << " " << 1e3 * trial.seconds << " ms";
  }
  std::lock_guard<std::mutex> lock(ChoicesMutex());
  Choices() += line.str() + "\n";
}

}  // namespace

std::string DescribeChoices() {
  std::lock_guard<std::mutex> lock(ChoicesMutex());
  return Choices();
}

Networks& Networks::Of(const Api& api, Stream stream) {
  static std::mutex* const mutex = new std::mutex;
  static auto* const all = new std::map<Stream, std::unique_ptr<Networks>>;
  std::lock_guard<std::mutex> lock(*mutex);
  std::unique_ptr<Networks>& networks = (*all)[stream];
  if (networks == nullptr) networks.reset(new Networks(api, stream));
  return *networks;
}

Networks::Networks(const Api& api, Stream stream) : api_(api), stream_(stream) {}

void Networks::CloseHandle() {
  if (handle_ != nullptr) api_.cudnnDestroy(handle_);
  handle_ = nullptr;
}

void Networks::OpenHandle() {
  CloseHandle();
  Handle handle = nullptr;
  STACKED_LSTM_CUDNN_CALL(api_, cudnnCreate, &handle);
  const int status = api_.cudnnSetStream(handle, stream_);
  if (status != kSuccess) api_.cudnnDestroy(handle);
  Check(api_, status, "cudnnSetStream");
  handle_ = handle;
}

const Network& Networks::Choose(const Sizes& sizes, const std::string& algorithm, const Device& device, int steps,
                                const Tensors& tensors,
                                const std::function<std::unique_ptr<Memory>()>& make_memory) {
  std::unique_ptr<Network>& chosen = networks_[Key(sizes, algorithm)];
  if (chosen != nullptr) return *chosen;
  const std::vector<Algorithm> candidates = FindAlgorithms(algorithm, sizes);
  if (candidates.size() == 1) {
    chosen.reset(new Network(api_, handle_, sizes, candidates[0]));
    return *chosen;
  }
  std::vector<Trial> trials;
  std::string problems;
  bool lacks_memory = false;
  for (const Algorithm& candidate : candidates) {
    try {
      std::unique_ptr<Network> network(new Network(api_, handle_, sizes, candidate));
      const double seconds = MeasureSeconds(*network, sizes, device, steps, tensors, make_memory().get());
      trials.push_back({std::move(network), seconds});
    } catch (const OutOfMemory&) {
      lacks_memory = true;
    } catch (const Error& error) {
      problems += std::string(problems.empty() ? "" : "; ") + candidate.name + ": " + error.what();
      OpenHandle();
    }
  }
  if (trials.empty() && lacks_memory) {  // A trial needs more than the call.
    chosen.reset(new Network(api_, handle_, sizes, candidates[0]));
    return *chosen;
  }
  if (trials.empty()) throw Error("no algorithm of cuDNN runs these layers: " + problems);
  std::sort(trials.begin(), trials.end(), [](const Trial& a, const Trial& b) { return a.seconds < b.seconds; });
  Record(sizes, steps, trials);
  chosen = std::move(trials[0].network);
  return *chosen;
}

const Network& Networks::Find(const Sizes& sizes, const std::string& algorithm) const {
  const auto found = networks_.find(Key(sizes, algorithm));
  if (found == networks_.end() || found->second == nullptr) {
    throw Error("the backward pass needs a forward pass in the same process, on the same GPU");
  }
  return *found->second;
}

double Networks::MeasureSeconds(const Network& network, const Sizes& sizes, const Device& device, int steps,
                                Tensors tensors, Memory* memory) const {
  const int64_t rows = static_cast<int64_t>(steps) * sizes.batch;
  const int64_t states = static_cast<int64_t>(sizes.layers) * sizes.directions * sizes.batch;
  tensors.sizes = network.FindTemporarySizes(handle_, steps);
  tensors.workspace = memory->Allocate(tensors.sizes.workspace);
  tensors.reserve = memory->Allocate(tensors.sizes.reserve);
  // The values do not change the time. The outputs stand for their gradients.
  const Gradients gradients = {tensors.outputs,
                               tensors.h_n,
                               tensors.c_n,
                               memory->Allocate(CountBytes(sizes, rows * sizes.inputs)),
                               memory->Allocate(CountBytes(sizes, states * sizes.outputs)),
                               memory->Allocate(CountBytes(sizes, states * sizes.units)),
                               memory->Allocate(network.weights_size())};
  double seconds = 0;
  for (int run = 0; run < kRuns; ++run) {
    device.wait();
    const auto start = std::chrono::steady_clock::now();
    network.RunForward(handle_, steps, tensors);
    network.RunBackward(handle_, device, steps, tensors, gradients);
    device.wait();
    const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (run == 1 || (run > 1 && elapsed < seconds)) seconds = elapsed;
  }
  return seconds;
}

}  // namespace cudnn
}  // namespace stacked_lstm

// The text of `DescribeChoices`, for Python. It is valid until the next call.
extern "C" __attribute__((visibility("default"))) const char* StackedLstmCudnnChoices() {
  static std::string* const text = new std::string;
  *text = stacked_lstm::cudnn::DescribeChoices();
  return text->c_str();
}
