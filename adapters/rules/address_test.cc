#include "adapters/rules/address.h"

#include <gtest/gtest.h>

namespace verbatim::rules {
namespace {

TEST(AddressTest, AddressesAreBareAndFolded) {
  EXPECT_EQ(fold_address("Ann@Example.COM/phone"), "ann@example.com");
  EXPECT_EQ(fold_address("example.com"), "example.com");
  EXPECT_EQ(fold_address(""), "");
  EXPECT_EQ(fold_address("a@b@c/d/e"), "a@b@c");
  EXPECT_EQ(domain_of("ann@example.com"), "example.com");
  EXPECT_EQ(domain_of("example.com"), "example.com");
}

TEST(AddressTest, DomainsOfIdnaAreReadAsPeopleReadThem) {
  EXPECT_EQ(fold_domain("XN--mnchen-3ya.example"), "m\xC3\xBCnchen.example");
  EXPECT_EQ(fold_address("ann@xn--mnchen-3ya.example"), "ann@m\xC3\xBCnchen.example");
  EXPECT_EQ(fold_domain("xn--\xC3\xBC.example"), "xn--\xC3\xBC.example");
}

}  // namespace
}  // namespace verbatim::rules
