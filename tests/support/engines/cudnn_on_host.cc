// A stand-in for NVIDIA's library cuDNN on machines without a GPU: its LSTM in plain loops, with buffers in the host's
// memory. g++ -std=c++17 -shared -fPIC
//
// Functions, equations and the order of the weights are those of NVIDIA's cuDNN API Reference,
// https://docs.nvidia.com/deeplearning/cudnn/backend/latest/api/cudnn-adv-library.html. It refuses what the library
// refuses on a card. Undefined results are NaN. All arithmetic is in float64. The functions fake_cudnn_* are for tests.
//
// T, B, I, H, L, P, D: steps, batch, width of the inputs, hidden size, layers, width of a direction's outputs,
// directions. With two directions, pseudo-layer 2 l is the forward direction of layer l, and 2 l + 1 its backward
// direction.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace {

enum Status { kSuccess, kNotInitialized = 1001, kBadParam = 2000, kNotSupported = 3000, kExecutionFailed = 5000 };
enum Type { kFloat, kDouble };
enum Algorithm { kStandard, kPersistStatic, kPersistDynamic, kSmallH };
enum Mode { kInference, kTraining };
enum GradientMode { kAddToGradient };
enum Layout { kSequenceMajorUnpacked, kSequenceMajorPacked, kBatchMajorUnpacked };

using Doubles = std::vector<double>;
const double kUndefined = std::nan("");

// Handles and descriptors. --------------------------------------------------------------------------------------------

struct Object {
  const int magic;
  bool is_set = false;
};

template <int number>
struct Kind : Object {
  static constexpr int kMagic = number;
  Kind() : Object{number} {}
};

struct Handle : Kind<7001> {
  std::atomic<bool> is_broken{false};
};

struct Tensor : Kind<7002> {
  int type;
  std::vector<int> sizes;
};

struct Dropout : Kind<7003> {};

struct Rnn : Kind<7004> {
  int algorithm, type, math, I, H, L, P, D, dynamic_batch;
  bool accepts_unpacked;
  void* dropout;
};

struct Data : Kind<7005> {
  int type, layout, T, B, width;
  std::vector<int> lengths;
  bool has_padding;
  double padding;
};

std::mutex mutex;  // For the next two variables.
std::set<void*> objects;
std::string calls;

template <class T>
int Create(void** object) {
  if (!object) return kBadParam;
  std::lock_guard<std::mutex> lock(mutex);
  objects.insert(*object = static_cast<Object*>(new T));
  return kSuccess;
}

// Null unless the object exists and is a T.
template <class T>
T* Get(void* object) {
  std::lock_guard<std::mutex> lock(mutex);
  if (!objects.count(object) || static_cast<Object*>(object)->magic != T::kMagic) return nullptr;
  return static_cast<T*>(static_cast<Object*>(object));
}

// As Get, also null if the descriptor is not set.
template <class T>
T* GetSet(void* object) {
  T* typed = Get<T>(object);
  return typed && typed->is_set ? typed : nullptr;
}

template <class T>
int Destroy(void* object) {
  T* typed = Get<T>(object);
  if (!typed) return kBadParam;
  std::lock_guard<std::mutex> lock(mutex);
  objects.erase(object);
  delete typed;
  return kSuccess;
}

// Buffers. ------------------------------------------------------------------------------------------------------------

size_t Bytes(int type) { return type == kFloat ? sizeof(float) : sizeof(double); }

double Read(const void* buffer, int type, size_t k) {
  return type == kFloat ? static_cast<const float*>(buffer)[k] : static_cast<const double*>(buffer)[k];
}

void Write(double value, int type, size_t k, void* buffer) {
  if (type == kFloat) static_cast<float*>(buffer)[k] = static_cast<float>(value);
  if (type == kDouble) static_cast<double*>(buffer)[k] = value;
}

// Zeros for a null pointer.
Doubles Load(const void* buffer, int type, size_t count) {
  Doubles values(count);
  for (size_t k = 0; buffer && k < count; ++k) values[k] = Read(buffer, type, k);
  return values;
}

// Does nothing for a null pointer.
void Store(const Doubles& values, int type, void* buffer) {
  for (size_t k = 0; buffer && k < values.size(); ++k) Write(values[k], type, k, buffer);
}

// The number of a vector in a buffer. In the packed layout longer sequences are first, and no step has a gap.
size_t Row(const Data& data, int t, int b) {
  if (data.layout == kSequenceMajorUnpacked) return size_t(t) * data.B + b;
  if (data.layout == kBatchMajorUnpacked) return size_t(b) * data.T + t;
  size_t row = b;
  for (int length : data.lengths) row += std::min(length, t);
  return row;
}

// Calls function(number in an array [T, B, width], number in a buffer, whether the step is past the end).
template <class Function>
void ForElements(const Data& data, Function function) {
  for (int t = 0; t < data.T; ++t)
    for (int b = 0; b < data.B; ++b)
      for (int k = 0; k < data.width; ++k) {
        bool is_past = t >= data.lengths[b];
        if (is_past && data.layout == kSequenceMajorPacked) continue;
        function((size_t(t) * data.B + b) * data.width + k, Row(data, t, b) * data.width + k, is_past);
      }
}

// Returns [T, B, width], zeros past each end.
Doubles LoadSequences(const Data& data, const void* buffer) {
  Doubles values(size_t(data.T) * data.B * data.width);
  ForElements(data, [&](size_t j, size_t k, bool is_past) { values[j] = is_past ? 0 : Read(buffer, data.type, k); });
  return values;
}

// Stores values [T, B, width], and `padding` past each end; null leaves there what was there.
void StoreSequences(const Data& data, const Doubles& values, const double* padding, void* buffer) {
  ForElements(data, [&](size_t j, size_t k, bool is_past) {
    if (!is_past || padding) Write(is_past ? *padding : values[j], data.type, k, buffer);
  });
}

// The LSTM. -----------------------------------------------------------------------------------------------------------

// result += matrix v
void Multiply(const double* matrix, int64_t rows, int64_t columns, const double* v, double* result) {
  for (int64_t j = 0; j < rows; ++j)
    for (int64_t k = 0; k < columns; ++k) result[j] += matrix[j * columns + k] * v[k];
}

// result += v matrix
void MultiplyTransposed(const double* matrix, int64_t rows, int64_t columns, const double* v, double* result) {
  for (int64_t j = 0; j < rows; ++j)
    for (int64_t k = 0; k < columns; ++k) result[k] += matrix[j * columns + k] * v[j];
}

// result += the product of each element of a and each of b
void AddProducts(const double* a, int64_t rows, const double* b, int64_t columns, double* result) {
  for (int64_t j = 0; j < rows; ++j)
    for (int64_t k = 0; k < columns; ++k) result[j * columns + k] += a[j] * b[k];
}

double Sigma(double z) { return 1 / (1 + std::exp(-z)); }

// Where the parameters of a pseudo-layer begin: W [4H, width of x], R [4H, P], V [P, H], and two biases [4H]. The rows
// are those of input gate, forget gate, new memory, output gate.
struct Layer {
  int64_t width, W, R, V, b_w, b_r;
};

// What one step of one sequence leaves for the gradients. u is h before the projection. The backward pass sets d_h,
// replaces the gates by the gradients of their arguments, and c by NaN: a second one on the same values gives NaN.
struct Step {
  double *gates, *c, *u, *h, *d_h;
};

struct Sizes {
  int64_t algorithm, type, T, B, I, H, L, P, D;
};

struct Lstm {
  Sizes s;
  std::vector<int> lengths;
  std::vector<Layer> layers;
  int64_t weight_count = 0, step_size;
  Doubles steps;   // By pseudo-layer, step, and sequence.
  Doubles w, x;    // The weights, and the inputs [T, B, I].
  Doubles h0, c0;  // The initial states [L D, B, P] and [L D, B, H].

  Lstm(const Sizes& sizes, const std::vector<int>& lengths)
      : s(sizes), lengths(lengths), layers(s.L * s.D), step_size(6 * s.H + 2 * s.P) {
    auto take = [this](int64_t size) { return (weight_count += size) - size; };
    for (int64_t k = 0; k < Count(); ++k) {
      layers[k].width = k < s.D ? s.I : s.D * s.P;
      layers[k].W = take(4 * s.H * layers[k].width);
      layers[k].R = take(4 * s.H * s.P);
      layers[k].V = take(Projects() ? s.P * s.H : 0);
    }
    for (Layer& layer : layers) layer.b_w = take(4 * s.H), layer.b_r = take(4 * s.H);
  }

  bool Projects() const { return s.P != s.H; }
  int64_t Count() const { return s.L * s.D; }
  int64_t StepCount() const { return Count() * s.T * s.B * step_size; }
  bool ReadsFromEnd(int64_t k) const { return k % s.D == 1; }

  Step At(int64_t k, int64_t t, int64_t b) {
    double* begin = &steps[((k * s.T + t) * s.B + b) * step_size];
    return {begin, begin + 4 * s.H, begin + 5 * s.H, begin + 6 * s.H, begin + 6 * s.H + s.P};
  }

  // The inputs of a step: those of the network, or h of all directions of the layer below.
  Doubles Input(int64_t k, int64_t t, int64_t b) {
    if (k < s.D) return Doubles(&x[(t * s.B + b) * s.I], &x[(t * s.B + b) * s.I] + s.I);
    Doubles inputs;
    for (int64_t d = 0, below = (k / s.D - 1) * s.D; d < s.D; ++d) {
      const double* h = At(below + d, t, b).h;
      inputs.insert(inputs.end(), h, h + s.P);
    }
    return inputs;
  }

  // The previous step in the order of the direction; -1 for the first step.
  int64_t Before(int64_t k, int64_t t, int64_t b) {
    if (!ReadsFromEnd(k)) return t - 1;
    return t + 1 < lengths[b] ? t + 1 : -1;
  }

  const double* HBefore(int64_t k, int64_t t, int64_t b) {
    int64_t before = Before(k, t, b);
    return before < 0 ? &h0[(k * s.B + b) * s.P] : At(k, before, b).h;
  }

  const double* CBefore(int64_t k, int64_t t, int64_t b) {
    int64_t before = Before(k, t, b);
    return before < 0 ? &c0[(k * s.B + b) * s.H] : At(k, before, b).c;
  }

  // The place in y [T, B, D P] where the outputs of direction k of the last layer begin.
  int64_t OutputPlace(int64_t k, int64_t t, int64_t b) const { return ((t * s.B + b) * s.D + k % s.D) * s.P; }

  // Calls function(pseudo-layer, step, sequence) in the order of each direction.
  template <class Function>
  void ForSteps(Function function) {
    for (int64_t k = 0; k < Count(); ++k)
      for (int64_t b = 0; b < s.B; ++b)
        for (int64_t n = 0; n < lengths[b]; ++n) function(k, ReadsFromEnd(k) ? lengths[b] - 1 - n : n, b);
  }

  // Sets h and c [L D, B, ...] at the ends, and y [T, B, D P].
  void Forward(Doubles* last_h, Doubles* last_c, Doubles* y) {
    steps.assign(StepCount(), kUndefined);
    ForSteps([&](int64_t k, int64_t t, int64_t b) {
      StepForward(k, t, b);
      std::copy_n(At(k, t, b).h, s.P, &(*last_h)[(k * s.B + b) * s.P]);
      std::copy_n(At(k, t, b).c, s.H, &(*last_c)[(k * s.B + b) * s.H]);
      if (k / s.D == s.L - 1) std::copy_n(At(k, t, b).h, s.P, &(*y)[OutputPlace(k, t, b)]);
    });
  }

  void StepForward(int64_t k, int64_t t, int64_t b) {
    const Layer& layer = layers[k];
    const double* c = CBefore(k, t, b);
    Step step = At(k, t, b);
    double *i = step.gates, *f = i + s.H, *m = f + s.H, *o = m + s.H;
    for (int64_t j = 0; j < 4 * s.H; ++j) step.gates[j] = w[layer.b_w + j] + w[layer.b_r + j];
    Multiply(&w[layer.W], 4 * s.H, layer.width, Input(k, t, b).data(), step.gates);
    Multiply(&w[layer.R], 4 * s.H, s.P, HBefore(k, t, b), step.gates);
    for (int64_t j = 0; j < s.H; ++j) {
      i[j] = Sigma(i[j]), f[j] = Sigma(f[j]), m[j] = std::tanh(m[j]), o[j] = Sigma(o[j]);
      step.c[j] = f[j] * c[j] + i[j] * m[j];
      step.u[j] = o[j] * std::tanh(step.c[j]);
    }
    std::fill_n(step.h, s.P, 0);
    if (Projects()) {
      Multiply(&w[layer.V], s.P, s.H, step.u, step.h);
    } else {
      std::copy_n(step.u, s.H, step.h);
    }
  }

  // Takes the gradients of y and of the last states; returns that of x, and replaces d_h and d_c by those of h0 and c0.
  Doubles Backward(Doubles d_y, Doubles* d_h, Doubles* d_c) {
    for (int64_t layer = s.L - 1; layer >= 0; --layer) {
      int64_t width = layers[layer * s.D].width;
      Doubles d_x(s.T * s.B * width);
      for (int64_t k = layer * s.D; k < (layer + 1) * s.D; ++k)
        for (int64_t b = 0; b < s.B; ++b)
          for (int64_t n = lengths[b] - 1; n >= 0; --n) {
            int64_t t = ReadsFromEnd(k) ? lengths[b] - 1 - n : n;
            StepBackward(k, t, b, &d_y[OutputPlace(k, t, b)], &d_x[(t * s.B + b) * width],
                         &(*d_h)[(k * s.B + b) * s.P], &(*d_c)[(k * s.B + b) * s.H]);
          }
      d_y = d_x;
    }
    return d_y;
  }

  void StepBackward(int64_t k, int64_t t, int64_t b, const double* d_y, double* d_x, double* d_h, double* d_c) {
    const Layer& layer = layers[k];
    const double* c = CBefore(k, t, b);
    Step step = At(k, t, b);
    double *i = step.gates, *f = i + s.H, *m = f + s.H, *o = m + s.H;
    Doubles d_u(s.H);
    for (int64_t j = 0; j < s.P; ++j) step.d_h[j] = d_h[j] + d_y[j];
    if (Projects()) {
      MultiplyTransposed(&w[layer.V], s.P, s.H, step.d_h, d_u.data());
    } else {
      std::copy_n(step.d_h, s.H, d_u.data());
    }
    for (int64_t j = 0; j < s.H; ++j) {
      double tanh_c = std::tanh(step.c[j]), d_c_new = d_c[j] + d_u[j] * o[j] * (1 - tanh_c * tanh_c);
      step.u[j] = o[j] * tanh_c;
      step.c[j] = kUndefined;
      d_c[j] = d_c_new * f[j];
      double d_i = d_c_new * m[j] * i[j] * (1 - i[j]), d_m = d_c_new * i[j] * (1 - m[j] * m[j]);
      i[j] = d_i, m[j] = d_m;
      f[j] = d_c_new * c[j] * f[j] * (1 - f[j]);
      o[j] = d_u[j] * tanh_c * o[j] * (1 - o[j]);
    }
    MultiplyTransposed(&w[layer.W], 4 * s.H, layer.width, step.gates, d_x);
    std::fill_n(d_h, s.P, 0);
    MultiplyTransposed(&w[layer.R], 4 * s.H, s.P, step.gates, d_h);
  }

  // After Backward. The outputs of the last layer are `y`, which the caller has.
  void AddWeightGradients(const Doubles& y, Doubles* d_w) {
    ForSteps([&](int64_t k, int64_t t, int64_t b) {
      if (k / s.D == s.L - 1) std::copy_n(&y[OutputPlace(k, t, b)], s.P, At(k, t, b).h);
      AddStep(k, t, b, d_w->data());
    });
  }

  void AddStep(int64_t k, int64_t t, int64_t b, double* d_w) {
    const Layer& layer = layers[k];
    Step step = At(k, t, b);
    AddProducts(step.gates, 4 * s.H, Input(k, t, b).data(), layer.width, d_w + layer.W);
    AddProducts(step.gates, 4 * s.H, HBefore(k, t, b), s.P, d_w + layer.R);
    if (Projects()) AddProducts(step.d_h, s.P, step.u, s.H, d_w + layer.V);
    for (int64_t j = 0; j < 4 * s.H; ++j) d_w[layer.b_w + j] += step.gates[j], d_w[layer.b_r + j] += step.gates[j];
  }
};

// The reserve space: a tag, then the steps. ---------------------------------------------------------------------------

struct Tag {
  Sizes sizes;
  int64_t is_prepared;  // The backward pass has stored what the gradients of the weights need.
};

size_t WorkspaceBytes(const Lstm& lstm) { return sizeof(double) * lstm.s.T * lstm.s.B * lstm.s.H * lstm.s.D; }
size_t ReserveBytes(const Lstm& lstm) { return sizeof(Tag) + sizeof(double) * lstm.StepCount(); }
size_t WeightBytes(const Lstm& lstm) { return lstm.weight_count * Bytes(lstm.s.type); }

void WriteReserve(const Lstm& lstm, bool is_prepared, void* reserve) {
  Tag tag = {lstm.s, is_prepared};
  std::memcpy(reserve, &tag, sizeof tag);
  std::memcpy(static_cast<char*>(reserve) + sizeof tag, lstm.steps.data(), sizeof(double) * lstm.StepCount());
}

// Returns whether the forward pass had this algorithm and these sizes, and the steps are as prepared as they must be.
bool ReadReserve(const void* reserve, bool must_be_prepared, Lstm* lstm) {
  Tag tag;
  std::memcpy(&tag, reserve, sizeof tag);
  if (std::memcmp(&tag.sizes, &lstm->s, sizeof tag.sizes) || tag.is_prepared < must_be_prepared) return false;
  lstm->steps.resize(lstm->StepCount());
  std::memcpy(lstm->steps.data(), static_cast<const char*>(reserve) + sizeof tag, sizeof(double) * lstm->StepCount());
  return true;
}

// Calls that compute. -------------------------------------------------------------------------------------------------

std::atomic<int> delays_ms[4];

Sizes SizesOf(const Rnn& rnn, int T, int B) {
  return {rnn.algorithm, rnn.type, T, B, rnn.I, rnn.H, rnn.L, rnn.P, rnn.D};
}

bool IsMode(int mode) { return mode == kInference || mode == kTraining; }

int Refusal(const Rnn& rnn, const Data& x, int largest_small_h) {
  bool is_uneven = std::count(x.lengths.begin(), x.lengths.end(), x.T) < x.B;
  if (rnn.algorithm == kPersistDynamic && rnn.dynamic_batch != x.B) return kNotInitialized;
  return rnn.algorithm == kSmallH && (is_uneven || rnn.H > largest_small_h) ? kNotSupported : kSuccess;
}

bool Fit(const Rnn& rnn, const Data& x, const Data& y) {
  bool are_alike = x.type == y.type && x.layout == y.layout && x.T == y.T && x.B == y.B && x.lengths == y.lengths;
  bool is_layout_known = x.layout == kSequenceMajorPacked || rnn.accepts_unpacked;
  return are_alike && is_layout_known && x.type == rnn.type && x.width == rnn.I && y.width == rnn.D * rnn.P;
}

bool IsState(void* layout, const Lstm& lstm, int64_t width) {
  Tensor* tensor = GetSet<Tensor>(layout);
  std::vector<int> sizes = {int(lstm.Count()), int(lstm.s.B), int(width)};
  return tensor && tensor->type == lstm.s.type && tensor->sizes == sizes;
}

// What the three calls have in common. c_layout may be missing.
struct Call {
  const char* name;
  int mode, largest_small_h;
  void *handle, *rnn, *x_layout, *y_layout, *h_layout, *c_layout;
  size_t weights_size;
  const void* weights;
  size_t workspace_size;
  void* workspace;
  size_t reserve_size;
  void* reserve;

  bool HasSpaces(const Lstm& lstm) const {
    return weights && weights_size >= WeightBytes(lstm) && workspace && workspace_size >= WorkspaceBytes(lstm) &&
           (mode == kInference || (reserve && reserve_size >= ReserveBytes(lstm)));
  }
};

void Log(const Call& call, const Rnn& rnn, const Data& x, int status) {
  std::ostringstream line;
  line << call.name << " algorithm=" << rnn.algorithm << " layout=" << x.layout << " T=" << x.T << " B=" << x.B
       << " I=" << rnn.I << " H=" << rnn.H << " L=" << rnn.L << " P=" << rnn.P << " D=" << rnn.D
       << " mode=" << call.mode << " math=" << rnn.math << " status=" << status << "\n";
  std::lock_guard<std::mutex> lock(mutex);
  calls += line.str();
}

// Checks the call, then runs run(Lstm*, const Data& x, const Data& y), which returns a status. After the library has
// refused kSmallH once, the handle is broken: on a card it computes garbage.
template <class Function>
int Execute(const Call& call, Function run) {
  Handle* handle = Get<Handle>(call.handle);
  Rnn* rnn = GetSet<Rnn>(call.rnn);
  Data *x = GetSet<Data>(call.x_layout), *y = GetSet<Data>(call.y_layout);
  if (!handle || !rnn || !GetSet<Dropout>(rnn->dropout) || !x || !y || !Fit(*rnn, *x, *y)) return kBadParam;
  Lstm lstm(SizesOf(*rnn, x->T, x->B), x->lengths);
  bool has_states = IsState(call.h_layout, lstm, rnn->P) && (!call.c_layout || IsState(call.c_layout, lstm, rnn->H));
  if (!IsMode(call.mode) || !has_states || !call.HasSpaces(lstm)) return kBadParam;
  int status = handle->is_broken ? kExecutionFailed : Refusal(*rnn, *x, call.largest_small_h);
  if (status == kSuccess && delays_ms[rnn->algorithm] < 0) status = kNotSupported;
  if (status == kNotSupported) handle->is_broken = true;
  if (status == kSuccess) {
    std::this_thread::sleep_for(std::chrono::milliseconds(delays_ms[rnn->algorithm]));
    std::memset(call.workspace, 0xff, WorkspaceBytes(lstm));
    status = run(&lstm, *x, *y);
  }
  Log(call, *rnn, *x, status);
  return status;
}

}  // namespace

EXPORTED int cudnnRNNForward(void* handle, void* rnn, int mode, const int32_t*, void* x_layout, const void* x,
                             void* y_layout, void* y, void* h_layout, const void* h, void* h_n, void* c_layout,
                             const void* c, void* c_n, size_t weights_size, const void* weights, size_t workspace_size,
                             void* workspace, size_t reserve_size, void* reserve) {
  if (!x || !y || !c_layout) return kBadParam;
  Call call = {"forward", mode, 192, handle, rnn, x_layout, y_layout, h_layout, c_layout, weights_size, weights,
               workspace_size, workspace, reserve_size, reserve};
  return Execute(call, [&](Lstm* lstm, const Data& x_data, const Data& y_data) -> int {
    const Sizes& s = lstm->s;
    lstm->w = Load(weights, s.type, lstm->weight_count);
    lstm->x = LoadSequences(x_data, x);
    const int64_t states = lstm->Count() * s.B;
    lstm->h0 = Load(h, s.type, states * s.P);
    lstm->c0 = Load(c, s.type, states * s.H);
    Doubles last_h(states * s.P), last_c(states * s.H), outputs(s.T * s.B * s.D * s.P);
    lstm->Forward(&last_h, &last_c, &outputs);
    StoreSequences(y_data, outputs, y_data.has_padding ? &y_data.padding : nullptr, y);
    Store(last_h, s.type, h_n);
    Store(last_c, s.type, c_n);
    if (mode == kTraining) WriteReserve(*lstm, false, reserve);
    return kSuccess;
  });
}

EXPORTED int cudnnRNNBackwardData_v8(void* handle, void* rnn, const int32_t*, void* y_layout, const void* y,
                                     const void* d_y, void* x_layout, void* d_x, void* h_layout, const void*,
                                     const void* d_h_n, void* d_h, void* c_layout, const void* c, const void* d_c_n,
                                     void* d_c, size_t weights_size, const void* weights, size_t workspace_size,
                                     void* workspace, size_t reserve_size, void* reserve) {
  if (!y || !d_y || !d_x || !c_layout) return kBadParam;
  Call call = {"backward_data", kTraining, 128, handle, rnn, x_layout, y_layout, h_layout, c_layout, weights_size,
               weights, workspace_size, workspace, reserve_size, reserve};
  return Execute(call, [&](Lstm* lstm, const Data& x_data, const Data& y_data) -> int {
    const Sizes& s = lstm->s;
    if (!ReadReserve(reserve, false, lstm)) return kBadParam;
    lstm->w = Load(weights, s.type, lstm->weight_count);
    const int64_t states = lstm->Count() * s.B;
    lstm->c0 = Load(c, s.type, states * s.H);
    Doubles d_states = Load(d_h_n, s.type, states * s.P), d_memories = Load(d_c_n, s.type, states * s.H);
    Doubles d_inputs = lstm->Backward(LoadSequences(y_data, d_y), &d_states, &d_memories);
    StoreSequences(x_data, d_inputs, &kUndefined, d_x);
    Store(d_states, s.type, d_h);
    Store(d_memories, s.type, d_c);
    WriteReserve(*lstm, true, reserve);
    return kSuccess;
  });
}

EXPORTED int cudnnRNNBackwardWeights_v8(void* handle, void* rnn, int mode, const int32_t*, void* x_layout,
                                        const void* x, void* h_layout, const void* h, void* y_layout, const void* y,
                                        size_t weights_size, void* d_weights, size_t workspace_size, void* workspace,
                                        size_t reserve_size, void* reserve) {
  if (!x || !y || mode != kAddToGradient) return kBadParam;
  Call call = {"backward_weights", kTraining, 192, handle, rnn, x_layout, y_layout, h_layout, nullptr, weights_size,
               d_weights, workspace_size, workspace, reserve_size, reserve};
  return Execute(call, [&](Lstm* lstm, const Data& x_data, const Data& y_data) -> int {
    const Sizes& s = lstm->s;
    if (!ReadReserve(reserve, true, lstm)) return kBadParam;
    lstm->x = LoadSequences(x_data, x);
    lstm->h0 = Load(h, s.type, lstm->Count() * s.B * s.P);
    Doubles d_w = Load(d_weights, s.type, lstm->weight_count);
    lstm->AddWeightGradients(LoadSequences(y_data, y), &d_w);
    Store(d_w, s.type, d_weights);
    return kSuccess;
  });
}

// Other calls. --------------------------------------------------------------------------------------------------------

EXPORTED size_t cudnnGetVersion() {
  const char* version = std::getenv("FAKE_CUDNN_VERSION");
  return version ? std::strtoul(version, nullptr, 10) : 91900;
}

EXPORTED const char* cudnnGetErrorString(int status) {
  switch (status) {
    case kSuccess: return "CUDNN_STATUS_SUCCESS";
    case kNotInitialized: return "CUDNN_STATUS_NOT_INITIALIZED";
    case kBadParam: return "CUDNN_STATUS_BAD_PARAM";
    case kNotSupported: return "CUDNN_STATUS_NOT_SUPPORTED";
    case kExecutionFailed: return "CUDNN_STATUS_EXECUTION_FAILED";
    default: return "CUDNN_UNKNOWN_STATUS";
  }
}

#define OBJECT(Type, name)                                                       \
  EXPORTED int cudnnCreate##name(void** object) { return Create<Type>(object); } \
  EXPORTED int cudnnDestroy##name(void* object) { return Destroy<Type>(object); }

OBJECT(Handle, )
OBJECT(Tensor, TensorDescriptor)
OBJECT(Dropout, DropoutDescriptor)
OBJECT(Rnn, RNNDescriptor)
OBJECT(Data, RNNDataDescriptor)

EXPORTED int cudnnSetStream(void* handle, void*) { return Get<Handle>(handle) ? kSuccess : kBadParam; }

EXPORTED int cudnnSetTensorNdDescriptor(void* object, int type, int rank, const int* sizes, const int* strides) {
  Tensor* tensor = Get<Tensor>(object);
  if (!tensor || rank < 3 || rank > 8 || !sizes || !strides) return kBadParam;
  if (type != kFloat && type != kDouble) return kNotSupported;
  int64_t count = 1;
  for (int k = rank - 1; k >= 0; --k) {
    if (sizes[k] < 1) return kBadParam;
    if (strides[k] != count) return kNotSupported;
    count *= sizes[k];
  }
  tensor->is_set = true;
  tensor->type = type;
  tensor->sizes.assign(sizes, sizes + rank);
  return kSuccess;
}

EXPORTED int cudnnSetDropoutDescriptor(void* object, void* handle, float rate, void*, size_t, unsigned long long) {
  Dropout* dropout = Get<Dropout>(object);
  if (!dropout || !Get<Handle>(handle)) return kBadParam;
  if (rate != 0) return kNotSupported;
  dropout->is_set = true;
  return kSuccess;
}

EXPORTED int cudnnSetRNNDescriptor_v8(void* object, int algorithm, int cell, int bias, int direction, int input_mode,
                                      int data_type, int compute_type, int math, int32_t input_size,
                                      int32_t hidden_size, int32_t projection_size, int32_t layers, void* dropout,
                                      uint32_t padded_io) {
  constexpr int kLstm = 2, kDoubleBias = 2, kUnidirectional = 0, kBidirectional = 1, kLinearInput = 0;
  Rnn* rnn = Get<Rnn>(object);
  int smallest = std::min({input_size, hidden_size, projection_size, layers});
  bool is_known = algorithm >= 0 && algorithm <= kSmallH && math >= 0 && math <= 3 && padded_io <= 1;
  bool is_lstm = cell == kLstm && bias == kDoubleBias && input_mode == kLinearInput;
  is_known = is_known && (direction == kUnidirectional || direction == kBidirectional);
  bool is_type = (data_type == kFloat || data_type == kDouble) && compute_type == data_type;
  // The package asks for both directions only with the standard algorithm. The others are not tested on a GPU.
  bool is_plain = data_type == kFloat && projection_size == hidden_size && direction == kUnidirectional;
  if (!rnn || !GetSet<Dropout>(dropout) || !is_known || smallest < 1 || projection_size > hidden_size) return kBadParam;
  if (!is_lstm || !is_type || (algorithm != kStandard && !is_plain)) return kNotSupported;
  rnn->is_set = true;
  rnn->algorithm = algorithm, rnn->type = data_type, rnn->math = math, rnn->dynamic_batch = 0;
  rnn->I = input_size, rnn->H = hidden_size, rnn->L = layers, rnn->P = projection_size;
  rnn->D = direction + 1;
  rnn->accepts_unpacked = padded_io == 1, rnn->dropout = dropout;
  return kSuccess;
}

EXPORTED int cudnnBuildRNNDynamic(void* handle, void* object, int batch) {
  Rnn* rnn = GetSet<Rnn>(object);
  if (!Get<Handle>(handle) || !rnn || rnn->algorithm != kPersistDynamic || batch < 1) return kBadParam;
  rnn->dynamic_batch = batch;
  return kSuccess;
}

EXPORTED int cudnnSetRNNDataDescriptor(void* object, int type, int layout, int steps, int batch, int width,
                                       const int* lengths, void* padding) {
  Data* data = Get<Data>(object);
  if (!data || std::min({steps, batch, width}) < 1 || layout < 0 || layout > 2 || !lengths) return kBadParam;
  if (type != kFloat && type != kDouble) return kNotSupported;
  const int* end = lengths + batch;
  if (*std::min_element(lengths, end) < 1 || *std::max_element(lengths, end) > steps) return kBadParam;
  if (layout == kSequenceMajorPacked && !std::is_sorted(lengths, end, std::greater<int>())) return kBadParam;
  data->is_set = true;
  data->type = type, data->layout = layout, data->T = steps, data->B = batch, data->width = width;
  data->lengths.assign(lengths, end);
  data->has_padding = padding != nullptr;
  data->padding = padding ? Read(padding, type, 0) : 0;
  return kSuccess;
}

EXPORTED int cudnnGetRNNWeightSpaceSize(void* handle, void* object, size_t* bytes) {
  Rnn* rnn = GetSet<Rnn>(object);
  if (!Get<Handle>(handle) || !rnn || !bytes) return kBadParam;
  if (rnn->algorithm == kSmallH && rnn->H > 192) return kNotSupported;
  *bytes = WeightBytes(Lstm(SizesOf(*rnn, 1, 1), {1}));
  return kSuccess;
}

EXPORTED int cudnnGetRNNTempSpaceSizes(void* handle, void* object, int mode, void* x_layout, size_t* workspace,
                                       size_t* reserve) {
  Rnn* rnn = GetSet<Rnn>(object);
  Data* x = GetSet<Data>(x_layout);
  if (!Get<Handle>(handle) || !rnn || !x || x->width != rnn->I) return kBadParam;
  if (!IsMode(mode) || !workspace || !reserve) return kBadParam;
  if (rnn->algorithm == kSmallH && rnn->H > 192) return kNotSupported;
  Lstm lstm(SizesOf(*rnn, x->T, x->B), x->lengths);
  *workspace = WorkspaceBytes(lstm);
  *reserve = mode == kTraining ? ReserveBytes(lstm) : 0;
  return kSuccess;
}

// For tests. ----------------------------------------------------------------------------------------------------------

// A line per call of the three that compute, unless an argument was wrong, such as
// "forward algorithm=3 layout=0 T=5 B=7 I=4 H=8 L=2 P=8 D=1 mode=1 math=3 status=0".
// Status 2000 is here a reserve space of another forward pass. The text is valid until the thread asks again.
EXPORTED const char* fake_cudnn_log() {
  thread_local std::string copy;
  std::lock_guard<std::mutex> lock(mutex);
  copy = calls;
  return copy.c_str();
}

EXPORTED void fake_cudnn_clear_log() {
  std::lock_guard<std::mutex> lock(mutex);
  calls.clear();
}

// Each computing call of the algorithm takes this much longer; if it is negative, cuDNN refuses the algorithm.
EXPORTED void fake_cudnn_set_delay_ms(int algorithm, int ms) { delays_ms[algorithm & 3] = ms; }

// The number of handles and descriptors that exist.
EXPORTED int fake_cudnn_open_objects() {
  std::lock_guard<std::mutex> lock(mutex);
  return static_cast<int>(objects.size());
}
