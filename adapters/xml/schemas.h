// The XML schemas in schema/, as the build found them.
#pragma once

#include <string_view>

namespace verbatim::adapters {

extern const std::string_view kConversationsXsd;
extern const std::string_view kCompanionXsd;

}  // namespace verbatim::adapters
