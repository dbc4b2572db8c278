-- Manual tiers and what became of them on the newest night: in force, to come, expired, or without effect because the
-- customer is unknown or not in the scheme.
with overrides as (

    select * from {{ source('pipeline', 'tier_overrides') }}

),

in_force as (

    select * from {{ ref('int_rules_in_force') }}

),

tiers as (

    select * from {{ ref('fct_customer_tiers') }}

)

select
    overrides.customer_id,
    overrides.scheme,
    overrides.tier,
    overrides.owner,
    overrides.reason,
    overrides.valid_from,
    overrides.expires_on,
    tiers.computed_tier,
    case
        when overrides.expires_on < in_force.as_of_date then 'expired'
        when overrides.valid_from > in_force.as_of_date then 'to_come'
        when tiers.customer_id is null then 'without_effect'
        else 'in_force'
    end as status
from overrides
cross join in_force
left join tiers
    on
        overrides.customer_id = tiers.customer_id
        and overrides.scheme = tiers.scheme
        and in_force.as_of_date = tiers.as_of_date
