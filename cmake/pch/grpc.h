// Precompiled headers of code that speaks gRPC.
#pragma once
#include <google/protobuf/generated_message_reflection.h>
#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/server_callback.h>

#include "cmake/pch/std.h"
