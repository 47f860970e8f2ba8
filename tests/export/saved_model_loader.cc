// Loads a SavedModel with TensorFlow's C++ loader, as TensorFlow Serving does, and prints one output for one input.
//
//   saved_model_loader FOLDER INPUT OUTPUT SIZE_1 SIZE_2 SIZE_3 < numbers

#include <cstdlib>
#include <iostream>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/public/session.h"

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  tensorflow::SavedModelBundle bundle;
  auto status = tensorflow::LoadSavedModel({}, {}, argv[1], {"serve"}, &bundle);
  if (!status.ok()) {
    std::cerr << status.ToString() << "\n";
    return 1;
  }
  const auto& signature = bundle.GetSignatures().at("serving_default");
  tensorflow::Tensor input(tensorflow::DT_FLOAT, {std::atoll(argv[4]), std::atoll(argv[5]), std::atoll(argv[6])});
  for (int64_t i = 0; i < input.NumElements(); ++i) std::cin >> input.flat<float>()(i);
  std::vector<tensorflow::Tensor> results;
  status = bundle.session->Run({{signature.inputs().at(argv[2]).name(), input}},
                               {signature.outputs().at(argv[3]).name()}, {}, &results);
  if (!status.ok()) {
    std::cerr << status.ToString() << "\n";
    return 1;
  }
  std::cout.precision(9);
  for (int64_t i = 0; i < results[0].NumElements(); ++i) std::cout << results[0].flat<float>()(i) << "\n";
  return 0;
}
