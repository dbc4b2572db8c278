-- The open interval of the history is the effective tier of the night.
select
    tiers.customer_id,
    tiers.scheme
from {{ ref('fct_customer_tiers') }} as tiers
left join {{ ref('fct_tier_history') }} as history
    on
        tiers.customer_id = history.customer_id
        and tiers.scheme = history.scheme
        and history.valid_to is null
where
    tiers.as_of_date = (select max(nights.as_of_date) from {{ ref('int_as_of_dates') }} as nights)
    and (history.tier is null or history.tier <> tiers.effective_tier or history.valid_from <> tiers.tier_since)
