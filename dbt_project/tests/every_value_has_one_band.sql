-- A value that is there is scored; a total that is there has a tier (bands are gap-free).
select
    customer_id,
    scheme
from {{ ref('fct_indicator_scores') }}
where raw_value is not null and status <> 'measured'
union all
select
    customer_id,
    scheme
from {{ ref('fct_customer_tiers') }}
where score is not null and computed_tier = 'pending' and limited_by is null
