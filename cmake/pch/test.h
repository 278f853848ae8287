// Precompiled headers of tests without gRPC.
#pragma once
#include <gmock/gmock.h>
#include <google/protobuf/generated_message_reflection.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include "cmake/pch/std.h"
