// The ops StackedLstmCudnn and StackedLstmCudnnGrad: layers of one width on a GPU, for sequences that have all steps.
//
// x is [T, B, I], h [L, B, P], c [L, B, H]; `weights` is cuDNN's buffer, see buffer.py. The outputs are [T, B, P]. If
// the direction is bidirectional, each layer has two entries in h and c, the forward direction first, and the outputs
// are [T, B, 2 P]. The reserve space holds what the backward pass needs, and the backward pass overwrites it. T and B
// may be 0, which cuDNN refuses.

#include <string>

#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace stacked_lstm {
namespace cudnn {
namespace {

using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

#define NETWORK_INPUTS \
  .Input("x: T")       \
      .Input("h: T")   \
      .Input("c: T")   \
      .Input("weights: T")

// The ops are stateful, so that TensorFlow does not merge equal ones: each forward pass has a reserve space of its own,
// which its gradient overwrites.
#define NETWORK_ATTRIBUTES                                                       \
  .Attr("T: {half, float, double}")                                              \
      .Attr("algorithm: string")                                                 \
      .Attr("allow_tf32: bool")                                                  \
      .Attr("direction: {'unidirectional', 'bidirectional'} = 'unidirectional'") \
      .SetIsStateful()

REGISTER_OP("StackedLstmCudnn") NETWORK_INPUTS
    .Output("outputs: T")
    .Output("h_n: T")
    .Output("c_n: T")
    .Output("reserve_space: uint8")
    NETWORK_ATTRIBUTES
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle x, h, state;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 3, &x));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 3, &h));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 3, &state));
      DimensionHandle merged;
      TF_RETURN_IF_ERROR(c->Merge(c->Dim(h, 0), c->Dim(state, 0), &merged));
      TF_RETURN_IF_ERROR(c->Merge(c->Dim(h, 1), c->Dim(state, 1), &merged));
      TF_RETURN_IF_ERROR(c->Merge(c->Dim(x, 1), merged, &merged));
      std::string direction;
      TF_RETURN_IF_ERROR(c->GetAttr("direction", &direction));
      DimensionHandle width;
      TF_RETURN_IF_ERROR(c->Multiply(c->Dim(h, 2), direction == "bidirectional" ? 2 : 1, &width));
      c->set_output(0, c->MakeShape({c->Dim(x, 0), merged, width}));
      c->set_output(1, h);
      c->set_output(2, state);
      c->set_output(3, c->UnknownShapeOfRank(1));
      return ::tensorflow::Status();
    });

REGISTER_OP("StackedLstmCudnnGrad") NETWORK_INPUTS
    .Input("outputs: T")
    .Input("d_outputs: T")
    .Input("d_h_n: T")
    .Input("d_c_n: T")
    .Input("reserve_space: uint8")
    .Output("d_x: T")
    .Output("d_h: T")
    .Output("d_c: T")
    .Output("d_weights: T")
    NETWORK_ATTRIBUTES
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle merged;
      TF_RETURN_IF_ERROR(c->Merge(c->input(4), c->input(5), &merged));
      for (int k = 1; k < 3; ++k) TF_RETURN_IF_ERROR(c->Merge(c->input(k), c->input(5 + k), &merged));
      for (int k = 0; k < 4; ++k) c->set_output(k, c->input(k));
      return ::tensorflow::Status();
    });

}  // namespace
}  // namespace cudnn
}  // namespace stacked_lstm
