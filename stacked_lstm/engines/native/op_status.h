// Returns an error to the caller. TensorFlow's own macro has different names in different versions.

#ifndef STACKED_LSTM_OP_STATUS_H_
#define STACKED_LSTM_OP_STATUS_H_

#define RETURN_IF_ERROR(...)                                 \
  do {                                                       \
    const ::tensorflow::Status macro_status = (__VA_ARGS__); \
    if (!macro_status.ok()) return macro_status;             \
  } while (0)

#endif  // STACKED_LSTM_OP_STATUS_H_
