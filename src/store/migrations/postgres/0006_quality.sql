-- What imports count for the monthly figures of data quality (双公示评估), added up in the transaction that moves the
-- upload's cursor. docs/QUALITY.md has the formulae.
CREATE TABLE quality (
  month       TEXT COLLATE "C" NOT NULL, -- YYYY-MM in which the rows came (UTC+8)
  kind        TEXT COLLATE "C" NOT NULL,
  department  TEXT COLLATE "C" NOT NULL, -- of the upload, else the source that the row names; empty: nobody said
  submitted   BIGINT NOT NULL, -- rows, but those that were published already and unchanged
  valid       BIGINT NOT NULL, -- of them published
  unchanged   BIGINT NOT NULL, -- rows passed over, counted nowhere else
  required    BIGINT NOT NULL, -- values that submitted rows had to give
  given       BIGINT NOT NULL, -- of them given
  first       BIGINT NOT NULL, -- rows that published a record for the first time, with a day of decision
  in_time     BIGINT NOT NULL, -- of them within the working days that the rules allow
  PRIMARY KEY (month, kind, department)
);
