// Precompiled headers of tests with gRPC.
#pragma once
#include "cmake/pch/grpc.h"
#include "cmake/pch/test.h"
