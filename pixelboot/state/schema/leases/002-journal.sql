-- Version 2: what a query for a lease can tell (RFC 4388), and the journal that takes what is new.

ALTER TABLE lease ADD COLUMN
    -- When the machine was given time last, or declined: seconds since 1970.
    renewed_at REAL NOT NULL DEFAULT 0.0 CHECK (typeof(renewed_at) = 'real');

ALTER TABLE lease ADD COLUMN
    -- The client identifier (option 61) it gave then; empty when it gave none.
    client_id BLOB NOT NULL DEFAULT x'' CHECK (typeof(client_id) = 'blob' AND length(client_id) <= 255);

ALTER TABLE lease ADD COLUMN
    -- Where it was plugged in, as its relay says (option 82, circuit-id); empty when none does.
    circuit BLOB NOT NULL DEFAULT x'' CHECK (typeof(circuit) = 'blob' AND length(circuit) <= 255);

UPDATE lease SET renewed_at = started_at;

CREATE TABLE journal (
    -- In which order; what is in the journal is newer than what is in the table of leases.
    number INTEGER PRIMARY KEY,

    -- What was made durable together, see pixelboot/state/leases/wire.py.
    batch BLOB NOT NULL CHECK (typeof(batch) = 'blob')
);
