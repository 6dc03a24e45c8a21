-- Leases, one row an address.  Version 1 of the schema (PRAGMA user_version).

CREATE TABLE lease (
    -- The IPv4 address as a number: 10.77.0.100 is 172818532.
    address INTEGER PRIMARY KEY CHECK (address BETWEEN 0 AND 4294967295),

    -- Who has it, had it, or declined it: "hw:" or "id:" and octets in hexadecimal; compared letter by letter.
    identity TEXT NOT NULL CHECK (typeof(identity) = 'text' AND length(identity) BETWEEN 1 AND 1024),

    -- The hardware address of that machine, for people.
    hwaddr TEXT NOT NULL CHECK (typeof(hwaddr) = 'text'),

    -- What the address is to that machine.  Offers are not written.
    state TEXT NOT NULL CHECK (state IN ('bound', 'released', 'expired', 'declined')),

    -- When the machine was leased the address, or declined it: seconds since 1970.
    started_at REAL NOT NULL CHECK (typeof(started_at) = 'real'),

    -- When the state ends, Inf of an infinite lease; of a released or expired lease, when it ended: seconds since 1970.
    expires_at REAL NOT NULL CHECK (typeof(expires_at) = 'real'),

    -- The name the machine gave itself, made printable; empty when it gave none.
    hostname TEXT NOT NULL CHECK (typeof(hostname) = 'text')
);
