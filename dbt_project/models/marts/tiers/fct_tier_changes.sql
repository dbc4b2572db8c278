-- The changes of tiers as people read them. The rule is in int_tier_changes.
with changes as (

    select * from {{ ref('int_tier_changes') }}

)

select
    {{ promised_columns() }}
from changes
