-- What the operator chose for single machines.  Version 1 of the schema (PRAGMA user_version).

-- One row a machine for which something was chosen.
CREATE TABLE host (
    -- The address of its network card, 02:aa:00:00:00:01, or its UUID, 00112233-4455-6677-8899-aabbccddeeff.
    machine TEXT PRIMARY KEY NOT NULL CHECK (typeof(machine) = 'text' AND length(machine) BETWEEN 2 AND 47),

    -- What it boots: the id of a container, there or not, or menu, local or shell; empty for nothing chosen.
    boot TEXT NOT NULL CHECK (typeof(boot) = 'text' AND length(boot) <= 100),

    -- What it boots the next time alone; empty for nothing.
    once TEXT NOT NULL CHECK (typeof(once) = 'text' AND length(once) <= 100),

    -- What it loads first; empty for what its kind does.
    loader TEXT NOT NULL CHECK (typeof(loader) = 'text' AND length(loader) <= 254),

    -- Tells what it boots once from every other time, and comes back in its URL; empty without one.
    token TEXT NOT NULL CHECK (typeof(token) = 'text' AND (length(token) > 0) = (length(once) > 0))
);
