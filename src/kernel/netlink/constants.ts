/**
 * Numbers of netlink(7) and rtnetlink(7), from linux/netlink.h, rtnetlink.h, if_link.h, if_addr.h, neighbour.h, nexthop.h
 * and fib_rules.h. Only those that are used.
 */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLMSG_OVERRUN = 4;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_MULTI = 0x2;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
/** on an error: the request is not quoted beyond its header */
export const NLM_F_CAPPED = 0x100;
/** on an error: attributes follow */
export const NLM_F_ACK_TLVS = 0x200;
export const NLMSGERR_ATTR_MSG = 1;

export const NLA_TYPE_MASK = 0x3fff;

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
export const RTM_GETNEIGH = 30;
export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
export const RTM_GETRULE = 34;
export const RTM_NEWNEXTHOP = 104;
export const RTM_DELNEXTHOP = 105;
export const RTM_GETNEXTHOP = 106;

/** Multicast groups (enum rtnetlink_groups). */
export const RTNLGRP = {
  link: 1,
  neighbour: 3,
  ipv4Address: 5,
  ipv4Route: 7,
  ipv4Rule: 8,
  ipv6Address: 9,
  ipv6Route: 11,
  ipv6Rule: 19,
  nexthop: 32,
} as const;

export const AF_INET = 2;
export const AF_INET6 = 10;

export const IFLA_IFNAME = 3;
export const IFLA_STATS64 = 23;
export const IFLA_EXT_MASK = 29;
export const IFLA_PROP_LIST = 52;
export const IFLA_ALT_IFNAME = 53;
/** spares the IPv6 counters of each link; IFLA_STATS64 comes all the same */
export const RTEXT_FILTER_SKIP_STATS = 8;
export const IFF_UP = 0x1;
export const IFF_LOOPBACK = 0x8;
export const IFF_POINTOPOINT = 0x10;
export const IFF_LOWER_UP = 0x10000;

export const IFA_ADDRESS = 1;
export const IFA_LOCAL = 2;
export const IFA_FLAGS = 8;
export const IFA_F_DADFAILED = 0x08;
export const IFA_F_TENTATIVE = 0x40;

/** `lo` in every namespace */
export const LOOPBACK_IFINDEX = 1;

export const RT_TABLE_MAIN = 254;
export const RT_SCOPE_LINK = 253;
export const RTM_F_CLONED = 0x200;
export const RTNH_F_ONLINK = 4;
export const RTN = { unicast: 1, blackhole: 6, unreachable: 7, prohibit: 8 } as const;

/** rtattr types of routes. */
export const RTA = {
  dst: 1,
  src: 2,
  oif: 4,
  gateway: 5,
  priority: 6,
  prefsrc: 7,
  multipath: 9,
  cacheinfo: 12,
  table: 15,
  via: 18,
  pref: 20,
  expires: 23,
  pad: 24,
  nhId: 30,
} as const;

/** Attributes of rules. */
export const FRA = {
  destination: 1,
  source: 2,
  incoming: 3,
  priority: 6,
  fwmark: 10,
  suppressPrefixlen: 14,
  table: 15,
  fwmask: 16,
  pad: 18,
  protocol: 21,
  ipProtocol: 22,
  destinationPorts: 24,
  destinationPortMask: 29,
} as const;
export const FR_ACT_TO_TBL = 1;
export const FR_ACT_UNREACHABLE = 7;
export const FIB_RULE_PERMANENT = 1;

export const NDA_DST = 1;
export const NDA_LLADDR = 2;
export const NTF_PROXY = 0x08;
/** ndm_state bits -> the core's words. */
export const NUD = {
  incomplete: 0x01,
  reachable: 0x02,
  stale: 0x04,
  delay: 0x08,
  probe: 0x10,
  failed: 0x20,
  noarp: 0x40,
  permanent: 0x80,
} as const;

/** Attributes of nexthop objects. */
export const NHA = { id: 1, group: 2, oif: 5, gateway: 6 } as const;
