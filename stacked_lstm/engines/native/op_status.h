// Errors handed up; TensorFlow's own macro has changed its name between versions.

#ifndef STACKED_LSTM_OP_STATUS_H_
#define STACKED_LSTM_OP_STATUS_H_

#define RETURN_IF_ERROR(...)                         \
  do {                                               \
    const ::tensorflow::Status made = (__VA_ARGS__); \
    if (!made.ok()) return made;                     \
  } while (0)

#endif  // STACKED_LSTM_OP_STATUS_H_
