-- rows in = kept + merged + quarantined.
select
    as_of_date,
    source,
    entity
from {{ ref('fct_data_quality') }}
where rows_in <> rows_kept + rows_merged + rows_quarantined
